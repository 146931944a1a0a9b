"""Random histories of lies by fewer operators than must agree, against what really happened.

Never a false `Proven`, never a false `Mismatch` or `Reverted`; and once the truth returns, proven within three blocks.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain.confirm import ExpectedTransfer, Mismatch, Proven, Reverted, Verdict, prove
from chain.nodes import NodeConfig
from chain.pool import Pool
from tests.chain.conftest import HandClock
from tests.chain.receipts import BUYER, OTHER_TOKEN, STRANGER, TOKEN, TX, WALLET, log, receipt
from tests.chain.scripted import Raw, ScriptedSession

EXPECTED = ExpectedTransfer(token=TOKEN, recipient=BUYER, amount=5, sender=WALLET)
MINED = 100
OTHER_HASH = "0x" + "99" * 32

FORGED: dict[str, Callable[[], Any]] = {
    "as it should be": lambda: receipt(log()),
    "no log": receipt,
    "less": lambda: receipt(log(4)),
    "recipient": lambda: receipt(log(recipient=STRANGER)),
    "token": lambda: receipt(log(token=OTHER_TOKEN)),
    "another block": lambda: receipt(log(), block_hash=OTHER_HASH),
    "an old block": lambda: receipt(log(block=90), block=90),
    "reverted": lambda: receipt(status=0),
}
SICK: dict[str, Callable[[], Any]] = {
    "null": lambda: None,
    "html": lambda: Raw(b"<html>busy</html>"),
    "truncated": lambda: Raw(b'{"jsonrpc":"2.0","id":1,"result":{"blockHash":"0x'),
    "another id": lambda: Raw(b'{"jsonrpc":"2.0","id":999999,"result":"0x1"}'),
    "429": lambda: Raw(429),
    "502": lambda: Raw(502),
    "reset": lambda: Raw(aiohttp.ClientPayloadError()),
    "hang": lambda: Raw(TimeoutError()),
    "sequence": lambda: Raw(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"invalid nonce"}}'),
}
HEADS = ("stale", "boast", "wrong chain", "honest")
MOODS = st.one_of(
    st.just(("honest", "honest")),
    st.tuples(st.sampled_from([*FORGED, *SICK]), st.sampled_from(HEADS)),
)
REALLY = st.sampled_from(["paid", "less", "reverted", "never"])


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps when it is told to: what is fresh for a second is old after a block."""

    skipped = 0.0

    def time(self) -> float:
        return super().time() + self.skipped


class World:
    """What really happened, how high the chain is, and how each operator feels about telling it."""

    def __init__(self, really: str) -> None:
        self.really = really
        self.height = MINED - 1
        self.moods: dict[str, tuple[str, str]] = {}

    def truth(self) -> Any:
        if self.height < MINED or self.really == "never":
            return None
        return {"paid": receipt(log()), "less": receipt(log(4)), "reverted": receipt(status=0)}[self.really]

    def speak(self, host: str, method: str, params: list[Any]) -> Any:
        del params
        word, head = self.moods.get(host, ("honest", "honest"))
        if method == "eth_chainId":
            return hex(1 if head == "wrong chain" else 31611)
        if word in SICK and word != "null":
            return SICK[word]()
        if method == "eth_blockNumber":
            return hex({"stale": 50, "boast": 10**6}.get(head, self.height))
        if word == "null":
            return None
        return FORGED[word]() if word in FORGED else self.truth()


def false_word(verdict: Verdict, world: World) -> bool:
    """Whether it says what did not happen, or says it before the next block."""
    said = {Proven: "paid", Mismatch: "less", Reverted: "reverted"}.get(type(verdict))
    return said is not None and (said != world.really or world.height < MINED + 1)


async def live(really: str, operators: int, liars: list[list[tuple[str, str]]]) -> None:
    """One history: `liars` holds, for each block, how each lying operator feels; then the truth returns."""
    world = World(really)
    hosts = [f"n{place}.test" for place in range(operators)]
    clock = HandClock()
    loop: Any = asyncio.get_running_loop()

    def pass_time(seconds: float) -> None:
        clock.seconds += seconds
        loop.skipped += seconds

    session: Any = ScriptedSession(world.speak)
    configs = [NodeConfig(host, host, f"http://{host}/rpc") for host in hosts]
    pool = Pool(configs, chain_id=31611, agreement=2, session=session, clock=clock)
    try:
        for moods in liars:
            world.moods = dict(zip(hosts, moods, strict=False))
            await pool.refresh()
            verdict = await prove(pool, TX, EXPECTED)
            assert not false_word(verdict, world), (verdict, world.height, liars)
            world.height += 1
            pass_time(3.6)
        world.moods = {}
        world.height = max(world.height, MINED)
        pass_time(60)  # the longest that a node rests after failures
        for _ in range(3):
            world.height += 1
            pass_time(3.6)
            await pool.refresh()
            verdict = await prove(pool, TX, EXPECTED)
            assert not false_word(verdict, world), (verdict, world.height, liars)
        if really == "paid":
            assert isinstance(verdict, Proven), (verdict, liars)
    finally:
        await pool.close()


# Fewer than the two that must agree may lie: one operator, any of them by symmetry but for the order of preference.
HISTORIES = st.lists(st.lists(MOODS, min_size=1, max_size=1), min_size=1, max_size=6)


def campaign(histories: int) -> None:
    """So many random histories."""

    @settings(max_examples=histories, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(REALLY, st.integers(3, 5), HISTORIES)
    def run(really: str, operators: int, liars: list[list[tuple[str, str]]]) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(live(really, operators, liars))

    run()


def test_no_history_of_lies_makes_a_false_word_and_the_truth_returns_within_three_blocks() -> None:
    campaign(200)


@pytest.mark.prove
def test_any_number_of_histories() -> None:
    campaign(int(os.environ.get("HISTORIES", "20000")))
