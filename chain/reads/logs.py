"""Read logs from one node, and find out from which block on it is proven to have them.

A node is never asked for blocks above its own head or for blocks it is known to have pruned. An empty answer is believed only once the
node has returned the block at the start of the range (`chain.node.log_coverage` explains why that is enough).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from chain.errors import LimitExceeded, Malformed, MethodMissing, NodeError, NodeTimeout, Pruned, RangeTooLarge, Unknown
from chain.node.node import Node
from chain.types import quantity

MAX_REQUESTS: Final = 64
"""The most requests for one range at one node: a node that refuses every window as too large must not cause endless requests."""
NEAR: Final = 64
"""The precision, in blocks, of the search for a node's earliest block."""
PROBED_DEPTHS: Final = (100, 1_000, 10_000, 100_000, 1_000_000, 10**12)
"""How many blocks behind the head are tried: on Mezo six minutes, an hour, ten hours, four days, six weeks, everything."""
_MAX_LOGS = re.compile(r"more than (\d+) (?:results|logs)")


@dataclass(frozen=True, slots=True)
class CoveredLogs:
    """A node's logs of a range, oldest first; from `covered_from` on the node is proven to have the range."""

    logs: list[Mapping[str, Any]]
    covered_from: int


async def read_logs(node: Node, token: str | None, topics: list[Any], frm: int, to: int) -> CoveredLogs:
    """Return the logs of blocks `frm` to `to`, both included, read in windows as large as the node allows. Raises NodeError."""
    if node.head is None or node.head < to:
        raise Pruned(node.name, f"has not reached block {to}")
    head = node.head
    held = node.retention.holds(frm, head)
    if held is None and node.retention.pruned_to is not None:
        held = await _has_block(node, frm, to)
    start = frm if held is not False else await _first_held(node, frm, to)
    covered_from = start
    collected: list[Mapping[str, Any]] = []
    requests = 0
    while start <= to:
        size = min(node.window.blocks, to - start + 1)
        requests += 1
        if requests > MAX_REQUESTS:
            raise RangeTooLarge(node.name, f"blocks {frm} to {to} take more than {MAX_REQUESTS} requests")
        logs = await _request_window(node, token, topics, start, start + size - 1)
        if logs is None:
            continue
        # A node that truncates at its limit does not return the rest.
        if len(logs) >= node.window.max_logs:
            node.window.refused(size)
            if size > 1:
                continue
            covered_from = start + 1
        node.window.succeeded(size)
        if held is None and start == frm and any(_is_within(log, frm, frm + size - 1) for log in logs):
            # mezod fails a range as a whole: a node that returns any of it has all of it.
            node.retention.record_held(frm, head)
            held = True
        collected.extend(logs)
        start += size
    if held is None and not await _has_block(node, frm, to):
        return await read_logs(node, token, topics, frm, to)  # from the first block that it has
    return CoveredLogs(collected, covered_from)


async def look_back(node: Node) -> None:
    """Find out in advance, in powers of ten, how many blocks behind its head a node has blocks."""
    if node.head is None:
        return
    try:
        for depth in PROBED_DEPTHS:
            if not await _has_block(node, max(node.head - depth, 1), node.head) or depth >= node.head:
                return
    except NodeError:
        return  # the node recorded the error


async def _first_held(node: Node, frm: int, to: int) -> int:
    """Return the first block of the range that the node has, up to NEAR blocks late; `to + 1` if it has none."""
    retention, head = node.retention, node.head or to
    lacking = retention.first_held(frm, head) - 1
    if lacking >= to:
        return to + 1
    held = max(lacking + 1, head - retention.depth)
    if held > to:
        if not await _has_block(node, to, to):
            return to + 1
        held = to
    while held - lacking > NEAR:
        middle = (lacking + held) // 2
        if await _has_block(node, middle, to):
            held = middle
        else:
            lacking = middle
    return held


async def _request_window(
    node: Node, token: str | None, topics: list[Any], start: int, end: int
) -> list[Mapping[str, Any]] | None:
    """Return the logs of one window; None if it was too large and a smaller one must be requested."""
    query: dict[str, Any] = {"fromBlock": hex(start), "toBlock": hex(end), "topics": topics}
    if token is not None:
        query["address"] = token
    size = end - start + 1
    try:
        logs = await node.call("eth_getLogs", [query])
    except RangeTooLarge as error:
        limit = _MAX_LOGS.search(error.detail)
        node.window.refused(size, int(limit[1]) if limit else None)
        if size == 1:
            raise
        return None
    except (Unknown, LimitExceeded) as error:
        # Each node and gateway has its own text for a range limit, so any error for several blocks may be one.
        if size > 1 and not isinstance(error, MethodMissing):
            node.window.maybe_too_large(size)
            return None
        node.window.undo_doubt()
        node.cooldown.record_error(error)
        raise
    except NodeTimeout as error:
        node.window.timed_out(size)
        # A timeout that the node reports is an answer; after silence, another try would cost a whole deadline again.
        if error.code is None or node.window.blocks >= size:
            raise
        return None
    if not isinstance(logs, list) or not all(isinstance(log, dict) for log in logs):
        raise Malformed(node.name, "eth_getLogs did not answer with a list of logs")
    return logs


async def _has_block(node: Node, start: int, end: int) -> bool:
    """Return whether the node has the block `start`, and record it. Raises NodeError."""
    head = node.head if node.head is not None else end
    # mezod has no block 0 and reads that number as the newest block.
    number = start or min(1, end)
    try:
        block = await node.call("eth_getBlockByNumber", [hex(number), False])
    except Pruned:
        block = None
    if block is not None and not _is_numbered(block, number):
        raise Malformed(node.name, f"eth_getBlockByNumber did not answer with block {number}")
    if block is None:
        node.retention.record_missing(start, head)
        return False
    node.retention.record_held(start, head)
    return True


def _is_numbered(block: Any, number: int) -> bool:
    try:
        return quantity(block["number"]) == number
    except (KeyError, TypeError, ValueError):
        return False


def _is_within(log: Mapping[str, Any], start: int, end: int) -> bool:
    try:
        return start <= quantity(log["blockNumber"]) <= end
    except (KeyError, ValueError):
        return False
