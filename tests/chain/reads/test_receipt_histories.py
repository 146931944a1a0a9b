"""Random histories of a chain in which fewer providers than must agree are wrong, compared with what really happened.

There is never a false `Proven`, `Mismatch` or `Reverted`. Once the chain holds the transfer, it is proven within three blocks: while the
wrong answers go on, if the correct providers are enough by themselves; otherwise after they end.
"""

import asyncio
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from chain.node.config import NodeConfig
from chain.pool.pool import Pool
from chain.reads.transfer_proof import ExpectedTransfer, Mismatch, ProofResult, Proven, Reverted, prove
from tests.support.chain_histories import BLOCK_SECONDS, MAX_REST, WITHIN, History, happen, histories
from tests.support.chain_model import Behaviour, ChainModel
from tests.support.receipts import BUYER, TOKEN, TX, WALLET
from tests.support.scripted_transport import LoopClock, ScriptedSession, VirtualLoop

pytestmark = pytest.mark.starts_first

EXPECTED = ExpectedTransfer(token=TOKEN, recipient=BUYER, amount=5, sender=WALLET)


def check(verdict: ProofResult, world: ChainModel, history: History) -> None:
    """Assert that the result is what at least one correct provider has seen."""
    outcome = {Proven: "paid", Mismatch: "less", Reverted: "reverted"}.get(type(verdict))
    if outcome is None:
        return
    block = verdict.transfer.block if isinstance(verdict, Proven) else getattr(verdict, "block", None)
    assert block is not None
    assert (block.hash, outcome) in world.seen, (verdict, history)


async def live(history: History) -> None:
    """Run one history to its end."""
    world = ChainModel(tuple(f"n{place}.test" for place in range(history.providers)))
    session: Any = ScriptedSession(world.speak)
    configs = [NodeConfig(host, host, f"http://{host}/rpc") for host in world.providers]
    pool = Pool(configs, chain_id=31611, agreement=history.agreement, session=session, clock=LoopClock())

    async def look() -> ProofResult:
        await asyncio.sleep(BLOCK_SECONDS)
        world.seen.clear()
        world.sync()
        await pool.refresh()
        verdict = await prove(pool, TX, EXPECTED)
        check(verdict, world, history)
        return verdict

    async def settle() -> ProofResult:
        verdict = await look()
        for _ in range(WITHIN):
            if isinstance(verdict, outcome):
                break
            world.grow()
            verdict = await look()
        return verdict

    outcome = {"paid": Proven, "less": Mismatch, "reverted": Reverted}[history.really]
    try:
        for turn in history.turns:
            happen(world, turn, history)
            await look()
        for name, behaviour in world.behaviours.items():
            lies_on = behaviour.answer != "truth" or behaviour.head != "truth"
            world.behaviours[name] = (
                Behaviour(answer=behaviour.answer, head=behaviour.head, lag=behaviour.lag) if lies_on else Behaviour()
            )
        world.grow(None if world.mined else history.really)
        if history.providers - history.wrong_providers >= max(history.agreement, history.wrong_providers + 1):
            verdict = await settle()
            assert isinstance(verdict, outcome), ("while wrong answers go on", verdict, history)
        world.behaviours = {name: Behaviour() for name in world.providers}
        world.sync()
        await asyncio.sleep(MAX_REST)
        verdict = await settle()
        assert isinstance(verdict, outcome), ("when all answer correctly", verdict, history)
    finally:
        await pool.close()


def campaign(number: int) -> None:
    """The number of random histories."""

    @settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(histories())
    def run(history: History) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(live(history))

    run()


def test_no_history_proves_anything_false_and_a_transfer_is_proven_within_three_blocks() -> None:
    campaign(700)


@pytest.mark.prove
def test_any_number_of_histories() -> None:
    campaign(int(os.environ.get("HISTORIES", "20000")))
