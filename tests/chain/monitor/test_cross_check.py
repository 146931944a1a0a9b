"""The providers compared: a node that contradicts the others is named in a sentence, with its answer and theirs."""

from typing import Any

import pytest

from chain.monitor.cross_check import CrossCheck, cross_check
from tests.support.receipts import TOKEN, TX, WALLET, log, receipt

HASH, UNITS = "0x" + "ab" * 32, 1_500 * 10**18


@pytest.fixture(autouse=True)
def alike(nodes: Any) -> None:
    """Let three nodes give the same answers."""
    for node in nodes:
        node.results["eth_getBlockByNumber"] = lambda params: {
            "number": params[0],
            "hash": HASH,
            "transactions": [TX],
        }
        node.results["eth_call"] = f"0x{UNITS:064x}"
        node.results["eth_getTransactionReceipt"] = receipt(log())


async def test_nodes_with_equal_answers_do_not_contradict_each_other(nodes: Any, pool: Any) -> None:
    nodes[1].results["eth_blockNumber"] = hex(98)
    found = await cross_check(pool, TOKEN, WALLET)
    assert (found.block, found.contradictions, found.is_decided) == (98, (), True)
    assert found.agreed == (
        "block 98",
        "the MUSD that the hot wallet held at block 98",
        f"the receipt of {TX} in block 98",
    )
    asked = {method for node in nodes for method, _ in node.asked} - {"eth_chainId", "eth_blockNumber"}
    assert asked == {"eth_getBlockByNumber", "eth_call", "eth_getTransactionReceipt"}
    assert all(sum(node.seen.values()) <= 5 for node in nodes)


LIES: dict[str, tuple[str, Any, str]] = {
    "block": (
        "eth_getBlockByNumber",
        {"number": hex(100), "hash": "0x" + "cd" * 32, "transactions": [TX]},
        f"block 100 is 0x{'cd' * 32} with 1 transactions to it and {HASH} with 1 transactions to them",
    ),
    "transactions": (
        "eth_getBlockByNumber",
        {"number": hex(100), "hash": HASH, "transactions": []},
        f"block 100 is {HASH} with 0 transactions to it and {HASH} with 1 transactions to them",
    ),
    "balance": (
        "eth_call",
        "0x" + "0" * 63 + "7",
        "the MUSD that the hot wallet held at block 100 is 0.000000000000000007 to it and 1500.00 to them",
    ),
    "receipt": ("eth_getTransactionReceipt", receipt(status=0), "is a failure with 0 events ("),
}


@pytest.mark.parametrize(("method", "wrong", "sentence"), LIES.values(), ids=LIES)
async def test_a_contradicting_node_is_named_with_its_answer(
    nodes: Any, pool: Any, method: str, wrong: Any, sentence: str
) -> None:
    nodes[1].results[method] = wrong
    found = await cross_check(pool, TOKEN, WALLET)
    (one,) = found.contradictions
    assert str(one).startswith("b.test contradicts a.test, c.test: ")
    assert sentence in str(one)
    assert found.is_decided, "two of three are enough"
    assert [node.quarantined for node in pool.nodes] == [False, True, False]


async def test_a_node_that_refuses_what_others_answer_is_reported(nodes: Any, pool: Any) -> None:
    nodes[2].errors["eth_call"] = {"code": 3, "message": "execution reverted", "data": "0x"}
    (one,) = (await cross_check(pool, TOKEN, WALLET)).contradictions
    assert "is refused to it and 1500.00 to them" in str(one)


async def test_without_enough_agreeing_providers_no_node_is_blamed(nodes: Any, pool: Any) -> None:
    for number, node in enumerate(nodes):
        node.results["eth_call"] = f"0x{number:064x}"
    found = await cross_check(pool, TOKEN, WALLET)
    (one,) = found.contradictions
    assert one.node is None
    assert str(one).startswith("a.test, b.test, c.test do not agree on the MUSD that the hot wallet held at block 100")
    assert not found.is_decided
    assert not any(node.quarantined for node in pool.nodes)


async def test_too_few_compare_nothing(nodes: Any, pool: Any) -> None:
    for node in nodes[1:]:
        await node.stop()
    assert await cross_check(pool, TOKEN, WALLET) == CrossCheck(None)


async def test_a_node_far_behind_is_not_waited_for_and_a_malformed_block_does_not_count(nodes: Any, pool: Any) -> None:
    nodes[0].results["eth_blockNumber"] = hex(5)
    nodes[1].results["eth_getBlockByNumber"] = {"number": hex(100), "hash": HASH, "transactions": "all of them"}
    found = await cross_check(pool, TOKEN, None)
    assert (found.block, found.contradictions) == (100, ())
    assert found.agreed == ("block 100", f"the receipt of {TX} in block 100")
