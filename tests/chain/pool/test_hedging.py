"""Random nodes that are slow, refuse, fail or know nothing: which answer wins, when, and which nodes are asked, compared with a model."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.errors import CallReverted, NodeError, RangeTooLarge
from chain.node.config import NodeConfig
from chain.pool.pool import Pool
from tests.support.scripted_transport import Late, LoopClock, Raw, ScriptedSession, VirtualLoop

P95 = 0.01
METHOD, ARGS = "eth_call", [{"to": "0x" + "11" * 20}, "0x64"]
ERROR = b'{"jsonrpc":"2.0","id":null,"error":{"code":%d,"message":"%b"}}'
ANSWERS: dict[str, Any] = {
    "null": lambda after: Late(None, after),
    "refused": lambda after: Raw(ERROR % (3, b"execution reverted"), after),
    "range": lambda after: Raw(ERROR % (-32000, b"block range is too large"), after),
    "failed": lambda after: Raw(503, after),
}
WORDS = ("answer", "refused")
"""What ends the wait for everyone else."""

Fate = tuple[int, str]
"""Milliseconds until a node answers, and what."""
FATE = st.tuples(st.sampled_from([1, 3, 9, 12, 25, 60]), st.sampled_from(["answer", *ANSWERS]))


def seconds(fates: list[Fate], place: int) -> float:
    """Return a node's delay. No two sums of delays are equal, so no two events happen at the same moment."""
    return fates[place][0] / 1000 + 0.0001 * (1 << place)


def expected(fates: list[Fate], place: int = 0, start: float = 0.0) -> tuple[float, str, dict[int, float]]:
    """Return when the call ends, how, and when each node is asked unless it has ended before."""
    end, how = start + seconds(fates, place), fates[place][1]
    asked = {place: start}
    if place == len(fates) - 1:
        return end, f"answer {place}" if how == "answer" else how, asked
    slow = end > start + P95
    others, they, more = expected(fates, place + 1, start + P95 if slow else end)
    theirs = they.partition(" ")[0] in WORDS
    if slow and theirs and others < end:
        return others, they, asked | more
    if how in WORDS:
        return end, f"answer {place}" if how == "answer" else how, asked | (more if slow else {})
    if not theirs:
        they = "null" if "null" in (how, they) else "range" if how == "range" else they
    return max(end, others), they, asked | more


async def ask(fates: list[Fate]) -> tuple[float, str, set[int]]:
    """Return the same for the real pool."""

    def speak(host: str, method: str, _params: list[Any]) -> Any:
        if method != METHOD:
            return hex(31611) if method == "eth_chainId" else "0x64"
        place = int(host[1:])
        after, how = seconds(fates, place), fates[place][1]
        return Late(f"answer {place}", after) if how == "answer" else ANSWERS[how](after)

    session: Any = ScriptedSession(speak)
    configs = [NodeConfig(f"n{place}", f"n{place}", f"http://n{place}/") for place in range(len(fates))]
    pool = Pool(configs, chain_id=31611, agreement=1, session=session, clock=LoopClock())
    await pool.refresh()
    for node in pool.nodes:
        for _ in range(128):
            node.latency.record(P95)
    loop, complaints = asyncio.get_running_loop(), list[Any]()
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    began = loop.time()
    try:
        how = await pool.first(METHOD, ARGS) or "null"
    except CallReverted:
        how = "refused"
    except RangeTooLarge:
        how = "range"
    except NodeError:
        how = "failed"
    finally:
        took = loop.time() - began
        await pool.close()
        assert not complaints
        assert asyncio.all_tasks() == {asyncio.current_task()}, "who lost is not asked any longer"
    return took, how, {int(name[1:]) for name, method in pool.calls if method == METHOD}


@given(st.lists(FATE, min_size=2, max_size=4))
@settings(max_examples=300, deadline=None)
def test_the_first_answer_wins_and_no_node_is_asked_without_need(fates: list[Fate]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        took, how, asked = runner.run(ask(fates))
    end, word, starts = expected(fates)
    assert (how, asked) == (word, {place for place, start in starts.items() if start < end})
    assert took == pytest.approx(end)


def test_a_cancelled_call_leaves_no_request_open() -> None:
    async def give_up() -> None:
        async with asyncio.timeout(0.03):
            await ask([(60, "answer"), (60, "answer"), (60, "answer")])

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(TimeoutError):
        runner.run(give_up())
