"""A call has one deadline, however many nodes are tried; and no caller is used to probe whether a node has returned."""

import asyncio
from typing import Any

import pytest

from chain.errors import NoAgreement, NodeError
from chain.node.config import NodeConfig
from chain.pool.fan_out import LEAD
from chain.pool.pool import Pool
from chain.reads.broadcast import broadcast
from chain.reads.gas import suggest_fees
from chain.types import keccak, to_hex
from tests.support.scripted_transport import Late, LoopClock, Raw, ScriptedSession, VirtualLoop

LIMIT = 10.0
ARGS = ["0x" + "11" * 20, "0x64"]


def pool_of(session: ScriptedSession, *names: str) -> Pool:
    configs = [NodeConfig(name, name.partition("#")[0], f"http://{name.replace('#', '')}/") for name in names]
    given: Any = session
    return Pool(configs, chain_id=31611, session=given, clock=LoopClock(), timeout=LIMIT)


def hang(_host: str, method: str, _params: list[Any]) -> Any:
    return hex(31611) if method == "eth_chainId" else Late("0x5", 1_000.0)


@pytest.mark.parametrize("policy", ["first", "quorum"])
def test_several_hanging_nodes_cost_one_deadline(policy: str) -> None:
    async def ask() -> float:
        pool = pool_of(ScriptedSession(hang), "a", "a#2", "a#3", "b", "b#2")
        await asyncio.sleep(0.3)  # no full second
        began = asyncio.get_running_loop().time()
        with pytest.raises((NodeError, NoAgreement)):
            await getattr(pool, policy)("eth_getBalance", ARGS)
        await pool.close()
        return asyncio.get_running_loop().time() - began

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert LIMIT <= runner.run(ask()) < LIMIT + 0.1


def test_a_node_that_hangs_from_the_start_delays_no_call_and_is_not_quarantined() -> None:
    def speak(host: str, method: str, _params: list[Any]) -> Any:
        answer = {"eth_chainId": hex(31611), "eth_blockNumber": "0x64"}.get(method, "0x5")
        return Late(answer, 1_000.0) if host == "a" else answer

    async def live() -> None:
        pool = pool_of(ScriptedSession(speak), "a", "b", "c")
        await asyncio.sleep(0.3)
        began = asyncio.get_running_loop().time()
        assert await pool.first("eth_getBalance", ARGS) == "0x5"
        assert asyncio.get_running_loop().time() - began < LIMIT / 5
        await pool.refresh()
        await asyncio.sleep(LIMIT)
        began = asyncio.get_running_loop().time()
        assert await pool.first("eth_getBalance", ARGS) == "0x5"
        assert asyncio.get_running_loop().time() == began, "the probe has found out who hangs"
        assert [bool(node.cooldown.failures) for node in pool.nodes] == [True, False, False]
        await pool.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(live())


def test_a_hanging_node_does_not_delay_an_unknown_answer_of_the_others() -> None:
    def speak(host: str, method: str, _params: list[Any]) -> Any:
        known = {"eth_chainId": hex(31611), "eth_blockNumber": "0x64"}.get(method)
        return Late(known, 1_000.0) if known is None and host == "a" else known

    async def live() -> None:
        pool = pool_of(ScriptedSession(speak), "a", "b", "c")
        await pool.refresh()
        began = asyncio.get_running_loop().time()
        with pytest.raises(NoAgreement) as raised:
            await pool.quorum("eth_getTransactionReceipt", ["0x" + "11" * 32])
        assert asyncio.get_running_loop().time() - began < 1
        assert (raised.value.reason, {*raised.value.unknown_to}) == ("silence", {"b", "c"})
        await asyncio.sleep(LIMIT)
        assert pool.nodes[0].errors == {"timeout": 1}, "it is heard to its end, and its silence noticed"
        await pool.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(live())


@pytest.mark.parametrize("in_order", [False, True])
def test_a_hanging_node_delays_neither_a_broadcast_nor_the_fees(in_order: bool) -> None:
    raw, asked = b"signed", list[tuple[str, str]]()
    answers = {
        "eth_chainId": hex(31611),
        "eth_blockNumber": "0x64",
        "eth_getBlockByNumber": {"baseFeePerGas": "0x7"},
        "eth_sendRawTransaction": to_hex(keccak(raw)),
    }

    def speak(host: str, method: str, _params: list[Any]) -> Any:
        asked.append((host, method))
        known = method in {"eth_chainId", "eth_blockNumber"}
        return Late(answers.get(method, "0x5"), 0.0 if known or host != "a" else 1_000.0)

    async def live() -> None:
        pool = pool_of(ScriptedSession(speak), "a", "b", "c")
        await pool.refresh()
        began = asyncio.get_running_loop().time()
        assert (await suggest_fees(pool)).max_fee == 2 * 7 + 5
        sent = await broadcast(pool, raw, in_order=in_order)
        assert asyncio.get_running_loop().time() - began < LEAD + 1
        assert (sent.accepted_by, sent.errors) == (("b", "c"), {})
        assert ("a", "eth_sendRawTransaction") in asked, "it is sent the bytes like all others"
        await asyncio.sleep(LIMIT)
        assert pool.nodes[0].errors["timeout"] == 4, "and its silence is noticed"
        await pool.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(live())


def test_a_node_without_time_to_answer_is_not_blamed() -> None:
    async def live() -> None:
        pool = pool_of(ScriptedSession(hang), "a", "a#2", "b")
        first, second, other = pool.nodes
        for node in (first, other):
            for _ in range(128):
                node.latency.record(LIMIT)
        for work in (pool.first("eth_getBalance", ARGS), pool.quorum("eth_getBalance", ARGS)):
            with pytest.raises((NodeError, NoAgreement)):
                await work
            assert second.cooldown.failures == 0
            await asyncio.sleep(60)
        await pool.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(live())


def test_a_node_that_failed_is_found_again_by_the_probes() -> None:
    down, asked = {"a"}, list[tuple[str, str]]()

    def speak(host: str, method: str, _params: list[Any]) -> Any:
        asked.append((host, method))
        if host in down:
            return Raw(ConnectionResetError())
        return {"eth_chainId": hex(31611), "eth_blockNumber": "0x64"}.get(method, "0x5")

    async def live() -> None:
        pool = pool_of(ScriptedSession(speak), "a", "b", "c")
        await pool.refresh()
        await asyncio.sleep(60)
        down.clear()
        asked.clear()
        await pool.first("eth_getBalance", ARGS)
        assert {host for host, _ in asked} == {"b"}, "the first in the order of preference, but for the one that failed"
        await pool.refresh()
        asked.clear()
        await pool.first("eth_getBalance", ARGS)
        assert {host for host, _ in asked} == {"a"}
        await pool.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(live())
