"""A wallet's nonce, balances, fees and past transactions, and the broadcast of its bytes."""

from typing import Any

import pytest
from aiohttp import web

from chain.abi.erc20 import payout_calldata
from chain.errors import InsufficientFunds, NoAgreement, NodeTimeout, NonceTooLow, Unknown, Unreachable
from chain.pool.halt import REFUSED_SECONDS
from chain.reads.broadcast import broadcast, broadcast_in_order
from chain.reads.gas import suggest_fees
from chain.reads.wallet import outgoing_transactions, read_wallet
from chain.types import keccak, to_hex
from tests.support import fake_mezod
from tests.support.fake_node import Refusal
from tests.support.receipts import BLOCK_HASH, BUYER, STRANGER, TOKEN, TX, WALLET, log

RAW = b"\x02signed"
RAW_HASH = "0x" + keccak(RAW).hex()


def everyone(nodes: Any, **results: Any) -> None:
    for node in nodes:
        node.results.update(results)


async def test_a_wallet_is_read_at_one_agreed_block(nodes: Any, pool: Any) -> None:
    everyone(nodes, eth_getTransactionCount="0x7", eth_getBalance="0x64", eth_call="0x" + (9).to_bytes(32, "big").hex())
    nodes[0].results["eth_blockNumber"] = hex(105)
    state = await read_wallet(pool, WALLET, TOKEN)
    assert (state.nonce_latest, state.balance_native, state.balance_token) == (7, 100, 9)
    assert state.block_number == 100
    assert {params[-1] for method, params in nodes[0].asked if method in {"eth_getBalance", "eth_call"}} == {"0x64"}


async def test_reading_a_wallet_costs_each_node_one_request_beside_its_head(nodes: Any, pool: Any) -> None:
    everyone(nodes, eth_getTransactionCount="0x7", eth_getBalance="0x64", eth_call="0x" + "00" * 32)
    await read_wallet(pool, WALLET, TOKEN)
    assert [node.batches for node in nodes] == [[3], [3], [3]]


async def test_a_wrong_nonce_of_one_node_is_outvoted(nodes: Any, pool: Any) -> None:
    everyone(nodes, eth_getTransactionCount="0x7", eth_getBalance="0x64", eth_call="0x" + "00" * 32)
    nodes[0].results["eth_getTransactionCount"] = "0x1"
    assert (await read_wallet(pool, WALLET, TOKEN)).nonce_latest == 7


async def test_fees_are_twice_the_base_and_a_tip(nodes: Any, pool: Any) -> None:
    everyone(nodes, eth_getBlockByNumber={"baseFeePerGas": "0x64"}, eth_maxPriorityFeePerGas="0xc", eth_gasPrice="0x70")
    offer = await suggest_fees(pool)
    assert (offer.max_fee, offer.priority) == (212, 12)


async def test_one_node_cannot_set_the_price(nodes: Any, pool: Any) -> None:
    everyone(nodes, eth_getBlockByNumber={"baseFeePerGas": "0x64"}, eth_maxPriorityFeePerGas="0xc", eth_gasPrice="0x70")
    nodes[1].results.update(eth_maxPriorityFeePerGas=hex(10**18), eth_gasPrice=hex(10**18))
    assert (await suggest_fees(pool)).max_fee == 212


@pytest.mark.parametrize(
    ("lacking", "offered"),
    [
        (["eth_maxPriorityFeePerGas"], (230, 30)),
        (["eth_gasPrice"], (207, 7)),
        (["eth_maxPriorityFeePerGas", "eth_gasPrice"], (200, 0)),
    ],
)
async def test_fees_are_found_without_methods_that_gateways_leave_out(
    nodes: Any, pool: Any, lacking: list[str], offered: tuple[int, int]
) -> None:
    everyone(
        nodes, eth_getBlockByNumber={"baseFeePerGas": hex(100)}, eth_maxPriorityFeePerGas=hex(7), eth_gasPrice=hex(130)
    )
    for node in nodes:
        node.errors |= {
            name: {"code": -32601, "message": "the method does not exist/is not available"} for name in lacking
        }
    found = await suggest_fees(pool)
    assert (found.max_fee, found.priority) == offered


async def test_no_fee_is_made_up_where_nodes_are_silent(nodes: Any, pool: Any) -> None:
    everyone(nodes, eth_getBlockByNumber={"baseFeePerGas": hex(100)}, eth_gasPrice=hex(130))
    for node in nodes:
        node.errors["eth_maxPriorityFeePerGas"] = {"code": -32603, "message": "Internal error"}
    with pytest.raises(NoAgreement):
        await suggest_fees(pool)


async def test_fees_stop_at_the_ceiling(nodes: Any, pool: Any) -> None:
    everyone(nodes, eth_getBlockByNumber={"baseFeePerGas": "0x64"}, eth_maxPriorityFeePerGas="0xc", eth_gasPrice="0x70")
    offer = await suggest_fees(pool, ceiling=5)
    assert (offer.max_fee, offer.priority) == (5, 5)


def transaction(sender: str = WALLET, nonce: int = 3) -> dict[str, Any]:
    return {
        "hash": TX,
        "from": sender.lower(),
        "to": TOKEN.lower(),
        "nonce": hex(nonce),
        "value": "0x0",
        "input": "0x" + payout_calldata(BUYER, 5, b"\7" * 32).hex(),
        "blockNumber": "0x5a",
        "blockHash": BLOCK_HASH,
    }


async def test_the_wallets_transactions_are_found_although_one_node_hides_them(nodes: Any, pool: Any) -> None:
    everyone(nodes, eth_getLogs=[], eth_getTransactionByHash=transaction())
    nodes[2].results["eth_getLogs"] = [log(block=90)]
    (found,) = await outgoing_transactions(pool, WALLET, 0, 100)
    assert (found.nonce, found.hash, found.input[-32:]) == (3, TX, b"\7" * 32)


async def test_a_transfer_sent_by_another_account_is_not_the_wallets(nodes: Any, pool: Any) -> None:
    everyone(nodes, eth_getLogs=[log(block=90)], eth_getTransactionByHash=transaction(STRANGER))
    assert await outgoing_transactions(pool, WALLET, 0, 100) == []


async def test_too_few_nodes_that_cover_the_range_prove_nothing(nodes: Any, pool: Any) -> None:
    everyone(nodes, eth_getLogs=[])
    nodes[0].results["eth_blockNumber"] = hex(200)
    with pytest.raises(NoAgreement):
        await outgoing_transactions(pool, WALLET, 0, 150)
    assert nodes[1].seen["eth_getLogs"] == 0


async def test_a_broadcast_reports_each_nodes_response(nodes: Any, pool: Any) -> None:
    nodes[0].results["eth_sendRawTransaction"] = RAW_HASH
    nodes[1].errors["eth_sendRawTransaction"] = {"code": 19, "message": "tx already in mempool"}
    nodes[2].errors["eth_sendRawTransaction"] = {"code": -32000, "message": "invalid nonce; got 1, expected 2"}
    result = await broadcast(pool, RAW)
    assert result.tx_hash == RAW_HASH
    assert result.accepted_by == ("a.test",)
    assert result.already_known_by == ("b.test",)
    assert result.errors == {NonceTooLow: ("c.test",)}
    assert result.known
    assert NonceTooLow in result.errors


async def test_a_broadcast_never_raises_for_nodes(nodes: Any, pool: Any) -> None:
    nodes[0].results["eth_sendRawTransaction"] = "0x" + "00" * 32
    await nodes[1].stop()
    nodes[2].errors["eth_sendRawTransaction"] = {"code": -32000, "message": "insufficient funds for gas"}
    result = await broadcast(pool, RAW)
    assert not result.known
    assert result.errors == {Unknown: ("a.test",), Unreachable: ("b.test",), InsufficientFunds: ("c.test",)}
    assert NodeTimeout not in result.errors


@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
async def test_a_lockdown_needs_enough_refusals_and_ends_when_one_node_accepts(
    nodes: Any, pool: Any, *, several: bool
) -> None:
    async def send() -> str | None:
        await (broadcast_in_order(pool, SEVERAL) if several else broadcast(pool, RAW))
        paused: str | None = pool.halt_reason
        return paused

    refusal = {"code": -32000, "message": fake_mezod.LOCKDOWN}
    for node in nodes:
        node.results["eth_sendRawTransaction"] = lambda params: "0x" + keccak(bytes.fromhex(params[0][2:])).hex()
    await pool.refresh()
    nodes[0].errors["eth_sendRawTransaction"] = refusal
    assert await send() is None, "others take it"
    for node in nodes[1:]:
        node.errors["eth_sendRawTransaction"] = {"code": -32000, "message": "insufficient funds for gas"}
    assert await send() is None, "one says so"
    nodes[1].errors["eth_sendRawTransaction"] = refusal
    assert "lockdown" in (await send() or "")
    nodes[2].errors.clear()
    assert await send() is None
    nodes[2].errors["eth_sendRawTransaction"] = refusal
    assert await send()
    pool.clock.seconds += REFUSED_SECONDS
    await pool.refresh(force=True)
    nodes[0].results["eth_blockNumber"] = nodes[1].results["eth_blockNumber"] = hex(101)
    await pool.refresh(force=True)
    assert pool.halt_reason is None, "no node says so any more"


async def test_an_ordered_broadcast_goes_to_one_node_before_the_others(nodes: Any, pool: Any) -> None:
    before: list[list[int]] = []

    def take(_: Any) -> str:
        before.append([node.seen["eth_sendRawTransaction"] for node in nodes])
        return RAW_HASH

    everyone(nodes, eth_sendRawTransaction=take)
    nodes[0].errors["eth_sendRawTransaction"] = {"code": -32000, "message": "invalid nonce; got 5, expected 4"}
    assert (await broadcast(pool, RAW, in_order=True)).accepted_by == ("b.test", "c.test")
    assert before == [[1, 1, 0], [1, 1, 1]]


async def test_in_an_ordered_broadcast_already_known_counts_as_accepted(nodes: Any, pool: Any) -> None:
    everyone(nodes, eth_sendRawTransaction=RAW_HASH)
    nodes[0].errors["eth_sendRawTransaction"] = {"code": 19, "message": "tx already in mempool"}
    result = await broadcast(pool, RAW, in_order=True)
    assert (result.already_known_by, result.accepted_by) == (("a.test",), ("b.test", "c.test"))


SEVERAL = [bytes([2, number]) for number in range(4)]


def hash_of(params: Any) -> str:
    return "0x" + keccak(bytes.fromhex(params[0][2:])).hex()


async def test_several_transactions_go_to_one_node_and_then_to_the_others_in_order(nodes: Any, pool: Any) -> None:
    seen: list[list[str]] = [[], [], []]

    def take(known: list[str]) -> Any:
        def answer(params: Any) -> str:
            known.append(params[0])
            return hash_of(params)

        return answer

    for node, known in zip(nodes, seen, strict=True):
        node.results["eth_sendRawTransaction"] = take(known)
    results = await broadcast_in_order(pool, SEVERAL)
    assert [result.accepted_by for result in results] == [("a.test", "b.test", "c.test")] * 4
    assert seen == [["0x" + raw.hex() for raw in SEVERAL]] * 3


async def test_another_node_leads_where_the_first_does_not_answer(nodes: Any, pool: Any) -> None:
    everyone(nodes, eth_sendRawTransaction=hash_of)
    await nodes[0].stop()
    results = await broadcast_in_order(pool, SEVERAL)
    assert [result.accepted_by for result in results] == [("b.test", "c.test")] * 4


async def test_a_transaction_that_no_node_accepts_holds_back_those_behind_it(nodes: Any, pool: Any) -> None:
    for node in nodes:
        node.errors["eth_sendRawTransaction"] = {"code": -32000, "message": "insufficient funds for gas"}
    results = await broadcast_in_order(pool, SEVERAL)
    assert [result.known for result in results] == [False] * 4
    assert [node.seen["eth_sendRawTransaction"] for node in nodes] == [1, 1, 1]


async def test_a_transaction_that_is_mined_already_holds_back_nothing(nodes: Any, pool: Any) -> None:
    for node in nodes:
        node.errors["eth_sendRawTransaction"] = {"code": -32000, "message": "nonce too low"}
    await broadcast_in_order(pool, SEVERAL)
    assert [node.seen["eth_sendRawTransaction"] for node in nodes] == [4, 4, 4]


async def test_several_cost_each_node_two_requests(nodes: Any, pool: Any) -> None:
    everyone(nodes, eth_sendRawTransaction=hash_of)
    await broadcast_in_order(pool, SEVERAL)
    assert [node.batches for node in nodes] == [[3], [3], [3]]
    assert [node.seen["eth_sendRawTransaction"] for node in nodes] == [4, 4, 4]


async def test_a_server_that_reorders_a_batch_gets_the_rest_one_by_one(nodes: Any, pool: Any) -> None:
    taken: list[str] = []
    held = [2, 3]

    def exact(params: Any) -> str:
        """Accept only the next nonce; two transactions arrive too early at first."""
        at = [to_hex(raw) for raw in SEVERAL].index(params[0])
        if at != len(taken) or at in held:
            held.remove(at)
            raise Refusal(-32000, f"invalid nonce; got {at}, expected 1")
        taken.append(params[0])
        return hash_of(params)

    nodes[0].results["eth_sendRawTransaction"] = exact
    for node in nodes[1:]:
        node.results["eth_sendRawTransaction"] = hash_of
    results = await broadcast_in_order(pool, SEVERAL)
    assert taken == [to_hex(raw) for raw in SEVERAL]
    assert [result.accepted_by for result in results] == [("a.test", "b.test", "c.test")] * 4


async def test_a_node_that_takes_no_batches_is_fed_all_the_same(nodes: Any, pool: Any) -> None:
    everyone(nodes, eth_sendRawTransaction=hash_of)
    nodes[0].batch = lambda _: web.Response(status=400)
    results = await broadcast_in_order(pool, SEVERAL)
    assert [result.accepted_by for result in results] == [("a.test", "b.test", "c.test")] * 4


async def test_fees_cost_each_node_one_request_beside_its_head(nodes: Any, pool: Any) -> None:
    everyone(
        nodes,
        eth_getBlockByNumber={"number": "0x64", "hash": BLOCK_HASH, "baseFeePerGas": "0x64"},
        eth_maxPriorityFeePerGas="0xc",
        eth_gasPrice="0x70",
    )
    await suggest_fees(pool)
    assert [node.batches for node in nodes] == [[3], [3], [3]]
