"""Random histories of a chain, with lies by fewer providers than must agree, against what really happened.

Never a false `Proven`, never a false `Mismatch` or `Reverted`; and once the chain holds the transfer, proven within three
blocks: while they lie on, where the honest are enough by themselves, else once the truth has returned.
"""

import asyncio
import os
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain.node.config import NodeConfig
from chain.pool.pool import Pool
from chain.reads.receipts import ExpectedTransfer, Mismatch, Proven, Reverted, Verdict, prove
from tests.chain.receipts import BUYER, TOKEN, TX, WALLET
from tests.chain.scripted import LoopClock, ScriptedSession, VirtualLoop
from tests.chain.world import FORGED, HEADS, REALITIES, WORDS, Mood, World

EXPECTED = ExpectedTransfer(token=TOKEN, recipient=BUYER, amount=5, sender=WALLET)
BLOCK_SECONDS = 3.6
MAX_REST = 60.0
"""Seconds after which every node is asked again, however often it failed or was of another chain."""
WITHIN = 3


@dataclass(frozen=True)
class Turn:
    """What happens between one look and the next."""

    event: str
    depth: int
    holds: tuple[str | None, ...]
    moods: tuple[Mood, ...]


@dataclass(frozen=True)
class History:
    """`liars` of `providers`, of whom `agreement` must agree; the first or the last providers in the order of preference."""

    really: str
    providers: int
    agreement: int
    liars: int
    liars_first: bool
    turns: list[Turn]


LATE = st.sampled_from([0.0, 0.0, 0.0, 0.2, 0.7])
HONEST = st.builds(Mood, lag=st.sampled_from([0, 0, 1]), late=LATE)
LIAR = st.builds(
    Mood,
    lag=st.sampled_from([0, 0, 1]),
    late=LATE,
    word=st.just("truth") | st.sampled_from([*FORGED]) | st.sampled_from(WORDS),
    head=st.just("truth") | st.sampled_from(HEADS),
)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Any history in which fewer lie than must agree."""
    providers = draw(st.integers(3, 5))
    agreement = draw(st.integers(2, 3))
    liars = draw(st.integers(0, agreement - 1))
    really = draw(st.sampled_from(["paid", "paid", *REALITIES]))
    turns = [
        Turn(
            event=draw(st.sampled_from(["grow", "mine", "reorg", "reorg", "halt"])),
            depth=draw(st.integers(1, 3)),
            holds=tuple(draw(st.lists(st.sampled_from([None, really]), min_size=3, max_size=3))),
            moods=tuple(
                [draw(LIAR) for _ in range(liars)] + [draw(HONEST) for _ in range(providers - liars)],
            ),
        )
        for _ in range(draw(st.integers(1, 5)))
    ]
    return History(really, providers, agreement, liars, draw(st.booleans()), turns)


def happen(world: World, turn: Turn, history: History) -> None:
    """One turn of the world."""
    names = world.providers if history.liars_first else tuple(reversed(world.providers))
    world.moods = dict(zip(names, turn.moods, strict=True))
    if turn.event == "reorg":
        world.reorg(turn.depth, turn.holds)
    elif turn.event != "halt":
        world.grow(history.really if turn.event == "mine" and world.mined is None else None)
    world.sync()


def check(verdict: Verdict, world: World, history: History) -> None:
    """Nothing is said that no honest provider holds to have happened."""
    said = {Proven: "paid", Mismatch: "less", Reverted: "reverted"}.get(type(verdict))
    if said is None:
        return
    block = verdict.transfer.block if isinstance(verdict, Proven) else getattr(verdict, "block", None)
    assert block is not None
    assert (block.hash, said) in world.told, (verdict, history)


async def live(history: History) -> None:
    """One history to its end."""
    world = World(tuple(f"n{place}.test" for place in range(history.providers)))
    session: Any = ScriptedSession(world.speak)
    configs = [NodeConfig(host, host, f"http://{host}/rpc") for host in world.providers]
    pool = Pool(configs, chain_id=31611, agreement=history.agreement, session=session, clock=LoopClock())

    async def look() -> Verdict:
        await asyncio.sleep(BLOCK_SECONDS)
        world.told.clear()
        world.sync()
        await pool.refresh()
        verdict = await prove(pool, TX, EXPECTED)
        check(verdict, world, history)
        return verdict

    async def settle() -> Verdict:
        verdict = await look()
        for _ in range(WITHIN):
            if isinstance(verdict, said):
                break
            world.grow()
            verdict = await look()
        return verdict

    said = {"paid": Proven, "less": Mismatch, "reverted": Reverted}[history.really]
    try:
        for turn in history.turns:
            happen(world, turn, history)
            await look()
        for name, mood in world.moods.items():
            lies_on = mood.word != "truth" or mood.head != "truth"
            world.moods[name] = Mood(word=mood.word, head=mood.head, lag=mood.lag) if lies_on else Mood()
        world.grow(None if world.mined else history.really)
        if history.providers - history.liars >= max(history.agreement, history.liars + 1):
            verdict = await settle()
            assert isinstance(verdict, said), ("while they lie on", verdict, history)
        world.moods = {name: Mood() for name in world.providers}
        world.sync()
        await asyncio.sleep(MAX_REST)
        verdict = await settle()
        assert isinstance(verdict, said), ("when all tell the truth", verdict, history)
    finally:
        await pool.close()


def campaign(number: int) -> None:
    """So many random histories."""

    @settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(histories())
    def run(history: History) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(live(history))

    run()


def test_no_history_of_lies_makes_a_false_word_and_the_truth_is_proven_within_three_blocks() -> None:
    campaign(2_000)


@pytest.mark.prove
def test_any_number_of_histories() -> None:
    campaign(int(os.environ.get("HISTORIES", "20000")))
