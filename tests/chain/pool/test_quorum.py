"""The quorum of several providers, when one of them is wrong, lags or is silent."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from chain.errors import CallReverted, NoAgreement, NodeError, NotEnoughProviders
from chain.node.config import NodeConfig
from chain.node.disagreements import Disagreement
from chain.pool.quorum import canonical
from chain.types import quantity

METHOD = "eth_getBalance"
ARGS = ["0x" + "11" * 20, "0x64"]


def say(nodes: list[Any], *values: Any) -> None:
    for node, value in zip(nodes, values, strict=True):
        node.results[METHOD] = value


async def test_one_wrong_provider_of_three_is_outvoted(nodes: Any, pool: Any) -> None:
    say(nodes, "0x1", "0x5", "0x5")
    agreed = await pool.quorum(METHOD, ARGS, key=quantity)
    assert agreed.value == "0x5"
    assert set(agreed.agreed_by) == {"b.test", "c.test"}


async def test_a_contradicting_node_is_quarantined_and_its_answers_stop_counting(nodes: Any, pool: Any) -> None:
    say(nodes, "0x1", "0x5", "0x5")
    await pool.quorum(METHOD, ARGS)
    assert [node.quarantined for node in pool.nodes] == [True, False, False]
    await pool.refresh()
    assert set(pool.heads()) == {"b.test", "c.test"}
    assert await pool.first(METHOD, ARGS) == "0x5"


async def test_a_node_that_agrees_again_returns(nodes: Any, pool: Any) -> None:
    say(nodes, "0x1", "0x5", "0x5")
    await pool.quorum(METHOD, ARGS)
    say(nodes, "0x5", "0x5", "0x5")
    await pool.quorum(METHOD, ARGS)
    assert not pool.nodes[0].quarantined
    assert len((await pool.quorum(METHOD, ARGS)).agreed_by) == 3


async def test_a_late_wrong_answer_is_noticed_after_the_decision(nodes: Any, pool: Any) -> None:
    say(nodes, "0x1", "0x5", "0x5")

    async def slowly(_request: web.Request, call: dict[str, Any]) -> web.Response:
        await asyncio.sleep(0.6)
        return web.json_response({"jsonrpc": "2.0", "id": call["id"], "result": "0x1"})

    nodes[0].raw[METHOD] = slowly
    await pool.quorum(METHOD, ARGS)
    assert not pool.nodes[0].quarantined
    await pool.wait_for_background()
    assert pool.nodes[0].quarantined


async def test_silence_is_not_dissent(nodes: Any, pool: Any) -> None:
    say(nodes, "0x5", "0x5", "0x5")
    nodes[0].errors[METHOD] = {"code": -32000, "message": "missing trie node"}
    await pool.quorum(METHOD, ARGS)
    assert not pool.nodes[0].quarantined


async def test_null_does_not_count_as_an_answer(nodes: Any, pool: Any) -> None:
    say(nodes, None, None, "0x5")
    with pytest.raises(NoAgreement) as raised:
        await pool.quorum(METHOD, ARGS)
    assert raised.value.reason == "silence"
    assert raised.value.answered == ("c.test",)
    assert set(raised.value.unknown_to) == {"a.test", "b.test"}


async def test_three_different_answers_are_a_disagreement_and_quarantine_no_node(nodes: Any, pool: Any) -> None:
    say(nodes, "0x1", "0x2", "0x3")
    with pytest.raises(NoAgreement) as raised:
        await pool.quorum(METHOD, ARGS)
    assert raised.value.reason == "dissent"
    assert not any(node.quarantined for node in pool.nodes)


async def test_two_against_two_is_no_agreement(nodes: Any, make_pool: Any) -> None:
    configs = [node.config for node in nodes]
    twin = NodeConfig("d.test", "d.test", nodes[0].config.url + "&d=1")
    pool = make_pool(configs=[*configs, twin])
    say(nodes, "0x1", "0x5", "0x5")
    with pytest.raises(NoAgreement):
        await pool.quorum(METHOD, ARGS)


async def test_two_nodes_of_one_provider_count_once(nodes: Any, make_pool: Any) -> None:
    configs = [NodeConfig(f"same#{i}", "same", node.config.url) for i, node in enumerate(nodes)]
    say(nodes, "0x5", "0x5", "0x5")
    pool = make_pool(configs=configs)
    with pytest.raises(NotEnoughProviders):
        await pool.quorum(METHOD, ARGS)


async def test_an_providers_second_node_speaks_when_its_first_is_silent(nodes: Any, make_pool: Any) -> None:
    say(nodes, None, "0x5", "0x5")
    first, second, other = (node.config for node in nodes)
    pool = make_pool(configs=[NodeConfig("x", "x", first.url), NodeConfig("x#2", "x", second.url), other])
    assert set((await pool.quorum(METHOD, ARGS)).agreed_by) == {"x", "c.test"}


async def test_a_dead_node_does_not_stop_the_others(nodes: Any, pool: Any) -> None:
    say(nodes, "0x5", "0x5", "0x5")
    await nodes[0].stop()
    assert set((await pool.quorum(METHOD, ARGS)).agreed_by) == {"b.test", "c.test"}


async def test_a_hanging_node_costs_no_deadline(nodes: Any, pool: Any) -> None:
    say(nodes, "0x5", "0x5", "0x5")

    async def hang(_request: web.Request, _call: dict[str, Any]) -> web.Response:
        await asyncio.sleep(3)
        return web.Response()

    nodes[0].raw[METHOD] = hang
    async with asyncio.timeout(1.5):
        await pool.quorum(METHOD, ARGS)


async def test_a_recovered_node_counts_again_when_another_dies(nodes: Any, pool: Any) -> None:
    say(nodes, "0x1", "0x5", "0x5")
    await pool.quorum(METHOD, ARGS)
    say(nodes, "0x5", "0x5", "0x5")
    await nodes[1].stop()
    assert set((await pool.quorum(METHOD, ARGS)).agreed_by) == {"a.test", "c.test"}


async def test_a_quarantined_node_counts_if_the_others_are_split(nodes: Any, pool: Any) -> None:
    say(nodes, "0x5", "0x5", "0x1")
    await pool.quorum(METHOD, ARGS)
    assert pool.nodes[2].quarantined
    say(nodes, "0x9", "0x5", "0x5")  # the third was late once, the first stays wrong
    assert set((await pool.quorum(METHOD, ARGS)).agreed_by) == {"b.test", "c.test"}
    assert [node.quarantined for node in pool.nodes] == [True, False, False]


async def test_two_set_aside_cannot_win_against_the_trusted(nodes: Any, make_pool: Any) -> None:
    pool = make_pool()
    for node in pool.nodes[:2]:
        node.disagreements.record(Disagreement("eth_getCode", ARGS, 2, canonical, b"0x"))
    say(nodes, "0x9", "0x9", "0x5")
    with pytest.raises(NoAgreement):
        await pool.quorum(METHOD, ARGS)


@pytest.mark.parametrize("fate", ["dead", "stale"])
async def test_the_head_advances_when_one_node_is_quarantined_and_another_fails(
    nodes: Any, pool: Any, fate: str
) -> None:
    say(nodes, "0x5", "0x5", "0x1")
    await pool.quorum(METHOD, ARGS)
    if fate == "dead":
        await nodes[0].stop()
    else:
        nodes[0].results["eth_blockNumber"] = hex(50)
    for node in nodes[1:]:
        node.results["eth_blockNumber"] = hex(101)
    await pool.refresh()
    assert pool.agreed_head() == 101


async def test_one_correct_and_one_quarantined_node_reach_no_quorum(nodes: Any, pool: Any) -> None:
    say(nodes, "0x1", "0x5", "0x5")
    await pool.quorum(METHOD, ARGS)
    await nodes[1].stop()
    with pytest.raises(NoAgreement):
        await pool.quorum(METHOD, ARGS)


async def test_an_agreed_revert_is_raised_as_such(nodes: Any, pool: Any) -> None:
    for node in nodes:
        node.errors[METHOD] = {"code": 3, "message": "execution reverted", "data": "0xabcd"}
    with pytest.raises(CallReverted) as raised:
        await pool.quorum(METHOD, ARGS)
    assert raised.value.data == "0xabcd"


async def test_key_order_and_case_of_digits_are_no_difference(nodes: Any, pool: Any) -> None:
    say(nodes, {"a": "0xAB", "b": "0x1"}, {"b": "0x1", "a": "0xab"}, None)
    assert len((await pool.quorum(METHOD, ARGS)).agreed_by) == 2


async def test_a_malformed_answer_is_silence(nodes: Any, pool: Any) -> None:
    say(nodes, {"what": 1}, "0x5", "0x5")
    await pool.quorum(METHOD, ARGS, key=quantity)
    assert not pool.nodes[0].quarantined


async def test_one_node_with_a_head_too_high_moves_nothing(nodes: Any, pool: Any) -> None:
    for node, head in zip(nodes, (10**9, 101, 100), strict=True):
        node.results["eth_blockNumber"] = hex(head)
    await pool.refresh()
    assert pool.agreed_head() == 101
    assert pool.agreed_head(3) == 100


async def test_everywhere_reports_each_node_and_never_raises(nodes: Any, pool: Any) -> None:
    say(nodes, "0x5", "0x5", "0x5")
    await nodes[2].stop()
    answers = await pool.broadcast(METHOD, ARGS)
    assert [answer.result for answer in answers] == ["0x5", "0x5", None]
    assert isinstance(answers[2].error, NodeError)


async def test_concurrent_probes_are_one(nodes: Any, pool: Any) -> None:
    await asyncio.gather(*(pool.refresh() for _ in range(50)))
    assert nodes[0].seen["eth_blockNumber"] == 1
    assert pool.calls["a.test", "eth_blockNumber"] == 1


async def test_a_caller_that_expects_a_block_does_not_use_an_earlier_probe(nodes: Any, pool: Any) -> None:
    await pool.refresh()
    await pool.refresh()
    assert nodes[0].seen["eth_blockNumber"] == 1
    pool.expire_probe()
    await pool.refresh()
    assert nodes[0].seen["eth_blockNumber"] == 2


async def test_a_fresh_probe_begins_after_it_was_requested(nodes: Any, pool: Any) -> None:
    """A decision about money does not join a probe whose answers may be those of the previous block."""
    await asyncio.gather(pool.refresh(), pool.refresh(force=True), pool.refresh(force=True))
    assert nodes[0].seen["eth_blockNumber"] == 2
    await pool.refresh(force=True)
    assert nodes[0].seen["eth_blockNumber"] == 3


async def test_no_new_block_for_long_is_a_stall(nodes: Any, pool: Any) -> None:
    await pool.refresh()
    assert pool.halt_reason is None
    pool.clock.seconds += 31
    assert pool.halt_reason
    pool.expire_probe()
    for node in nodes:
        node.results["eth_blockNumber"] = hex(101)
    await pool.refresh()
    assert pool.halt_reason is None
