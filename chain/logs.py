"""eth_getLogs, as far as it can be trusted.

mezod answers `[]` without an error when a block of the range is missing (pruned, or above its head). So a node is never
asked above its own head, and an empty answer is never proof of absence.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from chain.errors import Malformed, RangeTooLarge

WINDOW = 2_000
"""Blocks in one request; mezod refuses above 10,000, hosted nodes earlier."""

Call = Callable[[str, list[Any]], Awaitable[Any]]


async def read_logs(call: Call, token: str | None, topics: list[Any], frm: int, to: int) -> list[Mapping[str, Any]]:
    """The logs of blocks `frm` to `to`, both included, oldest first; halves the window where a node finds it too large.

    Raises NodeError.
    """
    found: list[Mapping[str, Any]] = []
    start, window = frm, WINDOW
    while start <= to:
        end = min(start + window - 1, to)
        query: dict[str, Any] = {"fromBlock": hex(start), "toBlock": hex(end), "topics": topics}
        if token is not None:
            query["address"] = token
        try:
            logs = await call("eth_getLogs", [query])
        except RangeTooLarge:
            if window == 1:
                raise
            window = max(window // 2, 1)
            continue
        if not isinstance(logs, list) or not all(isinstance(log, dict) for log in logs):
            raise Malformed("(logs)", "eth_getLogs did not answer with a list of logs")
        found.extend(logs)
        start = end + 1
    return found
