"""eth_getLogs of one node, as far as it can be trusted.

A node is never asked above its own head, nor for what it is known to have pruned; and that it answers with nothing is
believed only once it has shown the block at the start of the range (`chain.node.log_coverage` says why that is enough).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from chain.errors import LimitExceeded, Malformed, MethodMissing, NodeError, NodeTimeout, Pruned, RangeTooLarge, Unknown
from chain.node.node import Node
from chain.types import quantity

MAX_REQUESTS: Final = 64
"""For one range at one node: who calls every window too large must not keep us asking."""
NEAR: Final = 64
"""Blocks: so exactly it is looked up where a node's past begins."""
LOOKED_BACK: Final = (100, 1_000, 10_000, 100_000, 1_000_000, 10**12)
"""Blocks behind the head; on Mezo six minutes, an hour, ten hours, four days, six weeks, everything."""
_MAX_LOGS = re.compile(r"more than (\d+) (?:results|logs)")


@dataclass(frozen=True, slots=True)
class CoveredLogs:
    """The logs a node tells of a range, oldest first; from `covered_from` on it has shown that it holds the range."""

    logs: list[Mapping[str, Any]]
    covered_from: int


async def read_logs(node: Node, token: str | None, topics: list[Any], frm: int, to: int) -> CoveredLogs:
    """The logs of blocks `frm` to `to`, both included, in windows as large as the node allows. Raises NodeError."""
    if node.head is None or node.head < to:
        raise Pruned(node.name, f"has not reached block {to}")
    head = node.head
    held = node.retention.holds(frm, head)
    if held is None and node.retention.pruned_to is not None:
        held = await _shows(node, frm, to)
    start = frm if held is not False else await _first_shown(node, frm, to)
    covered_from = start
    found: list[Mapping[str, Any]] = []
    requests = 0
    while start <= to:
        size = min(node.window.blocks, to - start + 1)
        requests += 1
        if requests > MAX_REQUESTS:
            raise RangeTooLarge(node.name, f"blocks {frm} to {to} take more than {MAX_REQUESTS} requests")
        logs = await _asked(node, token, topics, start, start + size - 1)
        if logs is None:
            continue
        # Where a node stops counting it says nothing of the rest.
        if len(logs) >= node.window.max_logs:
            node.window.refused(size)
            if size > 1:
                continue
            covered_from = start + 1
        node.window.succeeded(size)
        if held is None and start == frm and any(_is_within(log, frm, frm + size - 1) for log in logs):
            # mezod gives up a range as a whole: who tells anything of it holds all of it.
            node.retention.record_held(frm, head)
            held = True
        found.extend(logs)
        start += size
    if held is None and not await _shows(node, frm, to):
        return await read_logs(node, token, topics, frm, to)  # from where it has something to tell
    return CoveredLogs(found, covered_from)


async def look_back(node: Node) -> None:
    """Find out how far back a node holds blocks, in powers of ten, for who wants to know before it is needed."""
    if node.head is None:
        return
    try:
        for depth in LOOKED_BACK:
            if not await _shows(node, max(node.head - depth, 1), node.head) or depth >= node.head:
                return
    except NodeError:
        return  # the node has taken note of it


async def _first_shown(node: Node, frm: int, to: int) -> int:
    """The first block of the range, or a few later, that a node which lacks `frm` has shown; `to + 1` where there is none."""
    retention, head = node.retention, node.head or to
    lacking = retention.first_held(frm, head) - 1
    if lacking >= to:
        return to + 1
    shown = max(lacking + 1, head - retention.depth)
    if shown > to:
        if not await _shows(node, to, to):
            return to + 1
        shown = to
    while shown - lacking > NEAR:
        middle = (lacking + shown) // 2
        if await _shows(node, middle, to):
            shown = middle
        else:
            lacking = middle
    return shown


async def _asked(
    node: Node, token: str | None, topics: list[Any], start: int, end: int
) -> list[Mapping[str, Any]] | None:
    """One window; None where it was too large, and a smaller one is to be asked for."""
    query: dict[str, Any] = {"fromBlock": hex(start), "toBlock": hex(end), "topics": topics}
    if token is not None:
        query["address"] = token
    size = end - start + 1
    try:
        logs = await node.call("eth_getLogs", [query])
    except RangeTooLarge as error:
        most = _MAX_LOGS.search(error.detail)
        node.window.refused(size, int(most[1]) if most else None)
        if size == 1:
            raise
        return None
    except (Unknown, LimitExceeded) as error:
        # Nodes and gateways have as many words for a range limit as there are of them: any error to several blocks may be one.
        if size > 1 and not isinstance(error, MethodMissing):
            node.window.maybe_too_large(size)
            return None
        node.window.undo_doubt()
        node.cooldown.record_error(error)
        raise
    except NodeTimeout as error:
        node.window.timed_out(size)
        # Said by the node itself it is an answer; silence would cost a whole deadline again.
        if error.code is None or node.window.blocks >= size:
            raise
        return None
    if not isinstance(logs, list) or not all(isinstance(log, dict) for log in logs):
        raise Malformed(node.name, "eth_getLogs did not answer with a list of logs")
    return logs


async def _shows(node: Node, start: int, end: int) -> bool:
    """Ask for the block at `start`, and remember the answer. Raises NodeError."""
    head = node.head if node.head is not None else end
    # mezod has no block 0 and takes that number for the newest block.
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
