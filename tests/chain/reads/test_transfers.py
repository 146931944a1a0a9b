"""Reading transfers from nodes that limit, cut off, prune and lag: which transfers count, and how many calls it costs."""

from typing import Any

import pytest
from aiohttp import web

from chain.errors import NoAgreement
from chain.node.log_coverage import ASK_AGAIN, PROVED_SECONDS
from chain.reads.logs import NEAR
from chain.reads.transfers import TransferReader
from chain.reads.wallet import outgoing_transactions
from tests.support.fake_mezod import Mezod, blocks
from tests.support.receipts import OTHER_TOKEN, STRANGER, WALLET, log


async def test_only_transfers_of_the_token_from_the_senders_count_oldest_first(
    nodes: Any, reader: TransferReader
) -> None:
    for node in nodes:
        node.results["eth_getLogs"] = [
            *(log(index=1), log(index=0), log(token=OTHER_TOKEN), log(sender=STRANGER), {"x": 1}),
            log(block=98),
        ]
    reading = await reader.read_agreed(99, 100)
    assert [transfer.log_index for transfer in reading.transfers] == [0, 1]
    assert [node.seen["eth_getLogs"] for node in nodes] == [1, 1, 1]


async def test_logs_nested_too_deeply_to_compare_do_not_count(
    nodes: Any, three: list[Mezod], reader: TransferReader
) -> None:
    async def deep(_request: web.Request, call: dict[str, Any]) -> web.Response:
        nested = "[" * 1000 + "]" * 1000
        return web.Response(text=f'{{"jsonrpc":"2.0","id":{call["id"]},"result":[{{"blockNumber":{nested}}}]}}')

    three[2].paid = {99}
    for node in nodes[:2]:
        node.raw["eth_getLogs"] = deep
    assert (await reader.read_agreed(99, 100)).doubted_from == 99


async def test_no_node_is_asked_above_its_own_head(three: list[Mezod], reader: TransferReader) -> None:
    three[1].head = three[2].head = 103
    assert await blocks(reader, 101, 103) == ([], True)
    assert three[0].asked == []
    three[2].head = 102
    with pytest.raises(NoAgreement):
        await blocks(reader, 101, 500)


async def test_each_new_block_costs_one_call_and_an_occasional_proof(
    three: list[Mezod], pool: Any, nodes: Any, reader: TransferReader
) -> None:
    for _ in range(200):
        for store in three:
            store.head += 1
        await pool.nodes[0].call("eth_blockNumber", [])
        pool.expire_probe()
        assert await blocks(reader, three[0].head - 20, three[0].head) == ([], True)
        pool.clock.seconds += 3.6
    for store, node in zip(three, nodes, strict=True):
        assert node.seen["eth_getLogs"] == 200
        assert len(store.shown) == 200 * 3.6 // PROVED_SECONDS + 1


@pytest.mark.parametrize("pruned", [1, 2, 3])
async def test_nothing_is_believed_of_pruned_blocks_unless_enough_providers_hold_them(
    three: list[Mezod], reader: TransferReader, pruned: int
) -> None:
    for store in three[:pruned]:
        store.holds_from = 50
    assert await blocks(reader, 20, 40) == ([], pruned == 1)
    assert [store.shown for store in three] == [[20, 40]] * pruned + [[20]] * (3 - pruned)


async def test_a_transfer_that_one_node_holds_is_found_although_the_range_is_not_proved(
    three: list[Mezod], nodes: Any, reader: TransferReader
) -> None:
    for store in three:
        store.paid = {30}
    three[0].holds_from = three[1].holds_from = 50
    reading = await reader.read_agreed(20, 40)
    assert (reading.transfers, reading.doubted_from, reading.covered_from) == ((), None, 41)


async def test_a_node_that_reports_a_transfer_need_not_show_the_block(
    three: list[Mezod], reader: TransferReader
) -> None:
    for store in three:
        store.paid = {30}
    assert await blocks(reader, 20, 40) == ([30], True)
    assert [store.shown for store in three] == [[], [], []]


async def test_a_pruned_node_is_known_shown_and_not_asked_for_what_it_lacks(
    three: list[Mezod], pool: Any, reader: TransferReader
) -> None:
    for store in three:
        store.head, store.paid = 2_000, {1_500}
    three[0].holds_from = 1_200
    assert await blocks(reader, 20, 1_900) == ([1_500], True)
    assert three[0].asked[0] == (20, 1_900), "nothing was known of it"
    (start, end), found = three[0].asked[1], pool.statuses()[0].pruned_to
    assert end == 1_900
    assert 1_200 <= start < 1_200 + NEAR
    assert len(three[0].shown) <= 8
    assert 1_200 - NEAR <= found < 1_200
    three[0].asked.clear()
    three[0].shown.clear()
    assert await blocks(reader, 10, 20) == ([], True)
    assert await blocks(reader, 15, 1_900) == ([1_500], True)
    assert await blocks(reader, 1_300, 1_900) == ([1_500], True)
    assert three[0].asked == [(start, 1_900), (1_300, 1_900)]
    assert three[0].shown == []
    assert [status.pruned_to for status in pool.statuses()] == [found, None, None]
    # It goes on being asked whether that has changed, ever more rarely, and for a block alone.
    three[0].asked.clear()
    pool.clock.seconds += ASK_AGAIN[1]
    await blocks(reader, 15, 20)
    await blocks(reader, 15, 20)
    assert (three[0].asked, three[0].shown) == ([], [15])
    three[0].holds_from = 1
    pool.clock.seconds += ASK_AGAIN[1]
    await blocks(reader, 15, 20)
    assert three[0].asked == [(15, 20)]
    assert pool.statuses()[0].pruned_to is None


async def test_pruned_nodes_are_believed_from_where_their_past_begins(
    three: list[Mezod], reader: TransferReader
) -> None:
    for store in three:
        store.head, store.paid, store.holds_from = 2_000, {1_150, 1_500}, 1_200
    reading = await reader.read_agreed(20, 1_900)
    assert [transfer.block.number for transfer in reading.transfers] == [1_500]
    assert 1_200 <= reading.covered_from < 1_200 + NEAR


async def test_a_proof_serves_as_long_as_the_node_stays_and_not_for_ever(
    three: list[Mezod], nodes: Any, pool: Any, reader: TransferReader
) -> None:
    assert (await blocks(reader, 20, 100))[1]
    three[0].holds_from = three[1].holds_from = 50
    pool.clock.seconds += PROVED_SECONDS
    assert not (await blocks(reader, 20, 100))[1]


async def test_a_node_that_was_away_must_prove_its_range_again(
    three: list[Mezod], nodes: Any, pool: Any, reader: TransferReader
) -> None:
    assert (await blocks(reader, 20, 100))[1]
    assert (await blocks(reader, 20, 100))[1]
    # Restored from a snapshot, say: it has only what came since.
    for store, node in zip(three[:2], nodes, strict=False):
        store.holds_from = 50
        node.errors["eth_getLogs"] = {"code": -32005, "message": "rate limit"}
    assert not (await blocks(reader, 20, 100))[1]
    pool.clock.seconds += 100
    for node in nodes:
        node.errors.clear()
    pool.expire_probe()
    assert not (await blocks(reader, 20, 100))[1]


@pytest.mark.parametrize(
    "block", ["0x", {"number": hex(21)}, {"number": None}, []], ids=["text", "other", "none", "[]"]
)
async def test_another_block_shows_nothing(
    three: list[Mezod], nodes: Any, pool: Any, reader: TransferReader, block: Any
) -> None:
    for node in nodes[:2]:
        node.results["eth_getBlockByNumber"] = block
    assert not (await blocks(reader, 20, 100))[1]
    assert pool.nodes[0].retention.holds(20, 100) is None


async def test_from_the_first_block_on(three: list[Mezod], reader: TransferReader) -> None:
    """mezod has no block 0, and reads that number as the newest block."""
    three[0].paid = three[1].paid = three[2].paid = {1}
    three[0].holds_from = three[1].holds_from = 2
    assert not (await blocks(reader, 0, 100))[1]
    assert [store.shown[0] for store in three[:2]] == [1, 1]


async def test_too_few_who_hold_a_wallets_past_prove_nothing(three: list[Mezod], pool: Any) -> None:
    assert await outgoing_transactions(pool, WALLET, 1, 100) == []
    for store in three[:2]:
        store.holds_from = 50
    pool.clock.seconds += PROVED_SECONDS
    with pytest.raises(NoAgreement, match="history"):
        await outgoing_transactions(pool, WALLET, 20, 100)
