"""Reading transfers from nodes that limit, cut off, prune and lag: what is believed, and what it costs."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from chain.coverage import ASK_AGAIN, LARGEST_WINDOW, PROVED_SECONDS
from chain.errors import NoAgreement, NodeTimeout, RangeTooLarge
from chain.logs import MOST_REQUESTS, NEAR, read_logs
from chain.transfers import TransferReader
from chain.wallet import outgoing
from tests.chain.lying_node import Refusal
from tests.chain.mezod import Mezod
from tests.chain.receipts import OTHER_TOKEN, STRANGER, TOKEN, WALLET, log

LONG = 70_000
"""Blocks: three days."""


@pytest.fixture
def three(nodes: Any) -> list[Mezod]:
    stores = [Mezod() for _ in nodes]
    for node, store in zip(nodes, stores, strict=True):
        node.results.update(store.results())
    return stores


@pytest.fixture
def reader(pool: Any) -> TransferReader:
    return TransferReader(pool, TOKEN, [WALLET])


async def blocks(reader: TransferReader, frm: int, to: int) -> tuple[list[int], bool]:
    """The blocks of which a transfer is told, and whether that is all."""
    reading = await reader.read_agreed(frm, to)
    return [transfer.block.number for transfer in reading.transfers], reading.covered_from == frm


async def every(reader: TransferReader, frm: int, to: int) -> tuple[list[int], bool]:
    """The same of a long range, window by window; once more where the first was far too large for everyone."""
    found: list[int] = []
    whole = True
    failed = 0
    while frm <= to:
        end = min(to, frm + reader.window - 1)
        try:
            more, covered = await blocks(reader, frm, end)
        except NoAgreement:
            failed += 1
            assert failed == 1
            continue
        found, whole, frm = found + more, whole and covered, end + 1
    return found, whole


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


async def test_no_node_is_asked_above_its_own_head(three: list[Mezod], reader: TransferReader) -> None:
    three[1].head = three[2].head = 103
    assert await blocks(reader, 101, 103) == ([], True)
    assert three[0].asked == []
    three[2].head = 102
    with pytest.raises(NoAgreement):
        await blocks(reader, 101, 500)


async def test_new_blocks_cost_one_question_each_and_a_proof_now_and_then(
    three: list[Mezod], pool: Any, nodes: Any, reader: TransferReader
) -> None:
    for _ in range(200):
        for store in three:
            store.head += 1
        await pool.nodes[0].call("eth_blockNumber", [])
        pool._probe._at = None
        assert await blocks(reader, three[0].head - 20, three[0].head) == ([], True)
        pool._clock.seconds += 3.6
    for store, node in zip(three, nodes, strict=True):
        assert node.seen["eth_getLogs"] == 200
        assert len(store.shown) == 200 * 3.6 // PROVED_SECONDS + 1


@pytest.mark.parametrize("pruned", [1, 2, 3])
async def test_nothing_is_believed_of_pruned_blocks_unless_enough_operators_hold_them(
    three: list[Mezod], reader: TransferReader, pruned: int
) -> None:
    for store in three[:pruned]:
        store.holds_from = 50
    assert await blocks(reader, 20, 40) == ([], pruned == 1)
    assert [store.shown for store in three] == [[20, 40]] * pruned + [[20]] * (3 - pruned)


async def test_a_transfer_that_one_node_still_holds_is_found_though_the_range_is_not_proved(
    three: list[Mezod], nodes: Any, reader: TransferReader
) -> None:
    for store in three:
        store.paid = {30}
    three[0].holds_from = three[1].holds_from = 50
    reading = await reader.read_agreed(20, 40)
    assert (reading.transfers, reading.doubted_from, reading.covered_from) == ((), None, 41)


async def test_who_tells_a_transfer_need_not_show_the_block(three: list[Mezod], reader: TransferReader) -> None:
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
    pool._clock.seconds += ASK_AGAIN[1]
    await blocks(reader, 15, 20)
    await blocks(reader, 15, 20)
    assert (three[0].asked, three[0].shown) == ([], [15])
    three[0].holds_from = 1
    pool._clock.seconds += ASK_AGAIN[1]
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
    pool._clock.seconds += PROVED_SECONDS
    assert not (await blocks(reader, 20, 100))[1]


async def test_a_node_that_was_away_proves_itself_anew(
    three: list[Mezod], nodes: Any, pool: Any, reader: TransferReader
) -> None:
    assert (await blocks(reader, 20, 100))[1]
    assert (await blocks(reader, 20, 100))[1]
    # Restored from a snapshot, say: it has only what came since.
    for store, node in zip(three[:2], nodes, strict=False):
        store.holds_from = 50
        node.errors["eth_getLogs"] = {"code": -32005, "message": "rate limit"}
    assert not (await blocks(reader, 20, 100))[1]
    pool._clock.seconds += 100
    for node in nodes:
        node.errors.clear()
    pool._probe._at = None
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
    """mezod has no block 0, and takes that number for the newest."""
    three[0].paid = three[1].paid = three[2].paid = {1}
    three[0].holds_from = three[1].holds_from = 2
    assert not (await blocks(reader, 0, 100))[1]
    assert [store.shown[0] for store in three[:2]] == [1, 1]


async def test_a_long_backfill_takes_ever_larger_windows(three: list[Mezod], reader: TransferReader) -> None:
    paid = set(range(1, LONG, 997))
    for store in three:
        store.head, store.paid = LONG, paid
    assert await every(reader, 1, LONG) == (sorted(paid), True)
    for store in three:
        assert store.asked[0] == (1, 2_000)
        assert all(last + 1 == first for (_, last), (first, _) in zip(store.asked, store.asked[1:], strict=False))
        assert len(store.asked) <= 3 + LONG // LARGEST_WINDOW
        assert max(last - first + 1 for first, last in store.asked) == LARGEST_WINDOW


@pytest.mark.parametrize("limit", [1, 10, 100, 1_000, 1_024, 3_000, 5_000])
async def test_a_nodes_own_limit_is_found_and_kept(
    three: list[Mezod], pool: Any, reader: TransferReader, limit: int
) -> None:
    span = min(LONG, 60 * limit)
    paid = set(range(1, span, 97))
    for store in three:
        store.head, store.paid, store.most_blocks = span, paid, limit
    assert await every(reader, 1, span) == (sorted(paid), True)
    refused = [one for one in three[0].asked if one[1] - one[0] + 1 > limit]
    assert len(refused) <= 18, "it is not tried again with every window"
    assert limit * 3 // 4 <= pool.nodes[0].window.blocks <= limit
    three[0].asked.clear()
    await blocks(reader, 1, limit)
    assert all(last - first < limit for first, last in three[0].asked)


@pytest.mark.parametrize("cuts_off", [False, True], ids=["says-so", "cuts-off"])
async def test_more_logs_than_a_node_gives_at_once_are_all_read(
    three: list[Mezod], pool: Any, reader: TransferReader, *, cuts_off: bool
) -> None:
    paid = set(range(400, 1_400))
    for store in three:
        store.head, store.paid, store.most_logs = 4_000, paid, 100
    if cuts_off:
        for store, node in zip(three, pool.nodes, strict=True):
            store.cuts_off, node.window.most_logs = True, 100
    assert await every(reader, 1, 4_000) == (sorted(paid), True)
    # Seen once, its limit is known: exactly so many may have been more.
    assert pool.nodes[0].window.most_logs == 100


async def test_who_finds_everything_too_large_is_left_alone(
    three: list[Mezod], pool: Any, nodes: Any, reader: TransferReader
) -> None:
    three[0].most_blocks = 0
    assert await blocks(reader, 1, 100) == ([], True)
    assert len(three[0].asked) <= MOST_REQUESTS
    three[0].most_blocks = 1
    three[0].head = 1_000
    await pool.nodes[0].call("eth_blockNumber", [])
    with pytest.raises(RangeTooLarge):
        await read_logs(pool.nodes[0], TOKEN, [], 1, 1_000)
    assert len(three[0].asked) <= 3 * MOST_REQUESTS


async def test_a_node_that_says_it_ran_out_of_time_is_asked_for_less(
    three: list[Mezod], pool: Any, nodes: Any, reader: TransferReader
) -> None:
    for store in three:
        store.head = 4_000
    honest = nodes[0].results["eth_getLogs"]

    def slow(params: list[Any]) -> Any:
        query = params[0]
        if int(query["toBlock"], 16) - int(query["fromBlock"], 16) >= 600:
            raise Refusal(-32000, "request timed out")
        return honest(params)

    nodes[0].results["eth_getLogs"] = slow
    assert await every(reader, 1, 4_000) == ([], True)
    assert 300 <= pool.nodes[0].window.blocks <= 600


async def test_a_node_that_takes_too_long_is_asked_for_less_the_next_time(
    three: list[Mezod], nodes: Any, make_pool: Any
) -> None:
    async def slow(request: web.Request, call: dict[str, Any]) -> web.StreamResponse:
        query = call["params"][0]
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        if last - first >= 600:
            await asyncio.sleep(60)
        return web.json_response({"jsonrpc": "2.0", "id": call["id"], "result": three[0].logs(first, last)})

    three[0].head = 4_000
    nodes[0].raw["eth_getLogs"] = slow
    pool = make_pool(timeout=0.5)
    await pool.refresh()
    node, failed = pool.nodes[0], 0
    while failed < 9:
        try:
            told = await read_logs(node, TOKEN, [], 1, 2_000)
            break
        except NodeTimeout:
            failed += 1
            pool._clock.seconds += 60
    assert (failed, told.covered_from) == (2, 1)
    assert three[0].asked[0] == (1, 500)


async def test_too_few_who_hold_a_wallets_past_prove_nothing(three: list[Mezod], pool: Any) -> None:
    assert await outgoing(pool, WALLET, 1, 100) == []
    for store in three[:2]:
        store.holds_from = 50
    pool._clock.seconds += PROVED_SECONDS
    with pytest.raises(NoAgreement, match="history"):
        await outgoing(pool, WALLET, 20, 100)
