"""The number of blocks per request: the limit of each node is learned, respected, and not tested again and again."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from chain.errors import MethodMissing, NoAgreement, NodeError, NodeTimeout, RangeTooLarge
from chain.node.log_coverage import MAX_WINDOW
from chain.reads.logs import MAX_REQUESTS, read_logs
from chain.reads.transfers import TransferReader
from tests.support.fake_mezod import Mezod, blocks
from tests.support.fake_node import Refusal
from tests.support.receipts import TOKEN

LONG = 70_000
"""Blocks: three days."""


async def every(reader: TransferReader, frm: int, to: int) -> tuple[list[int], bool]:
    """Read a long range window by window, the first again if it is too large; return the blocks with transfers, and whether all were covered."""
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


async def test_a_long_backfill_takes_ever_larger_windows(three: list[Mezod], reader: TransferReader) -> None:
    paid = set(range(1, LONG, 997))
    for store in three:
        store.head, store.paid = LONG, paid
    assert await every(reader, 1, LONG) == (sorted(paid), True)
    for store in three:
        assert store.asked[0] == (1, 2_000)
        assert all(last + 1 == first for (_, last), (first, _) in zip(store.asked, store.asked[1:], strict=False))
        assert len(store.asked) <= 3 + LONG // MAX_WINDOW
        assert max(last - first + 1 for first, last in store.asked) == MAX_WINDOW


@pytest.mark.parametrize("limit", [1, 10, 100, 1_000, 1_024, 3_000, 5_000])
async def test_a_nodes_own_limit_is_found_and_kept(
    three: list[Mezod], pool: Any, reader: TransferReader, limit: int
) -> None:
    span = min(LONG, 60 * limit)
    paid = set(range(1, span, 97))
    for store in three:
        store.head, store.paid, store.max_blocks = span, paid, limit
    assert await every(reader, 1, span) == (sorted(paid), True)
    refused = [one for one in three[0].asked if one[1] - one[0] + 1 > limit]
    assert len(refused) <= 18, "it is not tried again with every window"
    assert limit * 3 // 4 <= pool.nodes[0].window.blocks <= limit
    three[0].asked.clear()
    await blocks(reader, 1, limit)
    assert all(last - first < limit for first, last in three[0].asked)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-32602, "range 5000 exceeds limit of 200"),
        (-32000, "requested too many blocks from 1 to 5000, maximum is set to 200"),
        (-32000, "Requested range exceeds maximum RPC range limit"),
        (-32614, "requests are limited to a 10,000 blocks range"),
        (-32000, "too many blocks requested"),
        (-32005, "limit exceeded"),
        (-32603, "Internal error"),
        (-32000, "please narrow it down"),
        (-32603, ""),
    ],
)
async def test_a_range_limit_is_recognised_in_every_known_wording(
    three: list[Mezod], pool: Any, reader: TransferReader, code: int, words: str
) -> None:
    paid = set(range(1, 3_497, 97))
    for store in three:
        store.head, store.paid, store.max_blocks, store.range_error = 3_497, paid, 200, (code, words)
    assert await every(reader, 1, 3_497) == (sorted(paid), True)
    assert 125 <= pool.nodes[0].window.blocks <= 200
    assert {node.cooldown.state for node in pool.nodes} == {"ok"}


@pytest.mark.parametrize(
    ("code", "words", "rests"), [(-32603, "Internal error", False), (-32005, "limit exceeded", True)]
)
async def test_an_error_for_a_single_block_is_not_about_the_range(
    three: list[Mezod], pool: Any, reader: TransferReader, code: int, words: str, *, rests: bool
) -> None:
    """The window keeps its size, and a rate-limited node is left alone."""
    three[0].max_blocks, three[0].range_error, three[0].head = 0, (code, words), 5_000
    node = pool.nodes[0]
    await node.call("eth_blockNumber", [])
    before = node.window.blocks
    with pytest.raises(NodeError):
        await read_logs(node, TOKEN, [], 1, 5_000)
    assert node.window.blocks == before
    assert len(three[0].asked) <= 13
    assert node.cooldown.limited is rests


async def test_a_method_that_a_node_lacks_is_asked_for_once(three: list[Mezod], pool: Any) -> None:
    three[0].max_blocks, three[0].range_error, three[0].head = 0, (-32601, "method not found"), 5_000
    await pool.nodes[0].call("eth_blockNumber", [])
    with pytest.raises(MethodMissing):
        await read_logs(pool.nodes[0], TOKEN, [], 1, 5_000)
    assert len(three[0].asked) == 1


@pytest.mark.parametrize("cuts_off", [False, True], ids=["says-so", "cuts-off"])
async def test_more_logs_than_a_node_gives_at_once_are_all_read(
    three: list[Mezod], pool: Any, reader: TransferReader, *, cuts_off: bool
) -> None:
    paid = set(range(400, 1_400))
    for store in three:
        store.head, store.paid, store.max_logs = 4_000, paid, 100
    if cuts_off:
        for store, node in zip(three, pool.nodes, strict=True):
            store.cuts_off, node.window.max_logs = True, 100
    assert await every(reader, 1, 4_000) == (sorted(paid), True)
    # Once its limit is known, a full result counts as cut off.
    assert pool.nodes[0].window.max_logs == 100


async def test_a_node_that_refuses_every_range_is_no_longer_asked(
    three: list[Mezod], pool: Any, nodes: Any, reader: TransferReader
) -> None:
    three[0].max_blocks = 0
    assert await blocks(reader, 1, 100) == ([], True)
    assert len(three[0].asked) <= MAX_REQUESTS
    three[0].max_blocks = 1
    three[0].head = 1_000
    await pool.nodes[0].call("eth_blockNumber", [])
    with pytest.raises(RangeTooLarge):
        await read_logs(pool.nodes[0], TOKEN, [], 1, 1_000)
    assert len(three[0].asked) <= 3 * MAX_REQUESTS


async def test_a_node_that_says_it_ran_out_of_time_is_asked_for_less(
    three: list[Mezod], pool: Any, nodes: Any, reader: TransferReader
) -> None:
    for store in three:
        store.head = 4_000
    original = nodes[0].results["eth_getLogs"]

    def slow(params: list[Any]) -> Any:
        query = params[0]
        if int(query["toBlock"], 16) - int(query["fromBlock"], 16) >= 600:
            raise Refusal(-32000, "request timed out")
        return original(params)

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
            reading = await read_logs(node, TOKEN, [], 1, 2_000)
            break
        except NodeTimeout:
            failed += 1
            pool.clock.seconds += 60
    assert (failed, reading.covered_from) == (2, 1)
    assert three[0].asked[0] == (1, 500)
