"""A hint from the first node that has one: the preferred first, the next when that fails or is slower than it uses to be."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from chain.errors import CallReverted, NodeError, RangeTooLarge
from chain.node import Node

UNKNOWN: Final = object()
"""Every node that answered said null."""


async def first(nodes: Sequence[Node], ask: Callable[[Node], Any]) -> Any:
    """The first answer that is not null, or UNKNOWN. Raises CallReverted at once, NodeError where none answered.

    A node that exceeds its own p95 is overtaken by the next one, and still wins if it is quicker after all. A second question is sent only
    where its node's budget has one to spare at once.
    """
    waiting = list(nodes)
    running: set[asyncio.Task[Any]] = set()
    patience: float | None = None
    error: NodeError | None = None
    unknown = False

    def start() -> None:
        nonlocal patience
        node = waiting.pop(0)
        patience = node.latency.patience
        running.add(asyncio.ensure_future(ask(node)))

    start()
    try:
        while running:
            done, running_now = await asyncio.wait(
                running, timeout=patience if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            running = set(running_now)
            for task in done:
                try:
                    result = task.result()
                except CallReverted:
                    raise
                except NodeError as failure:
                    # Of several failures the one that the caller can act on is told.
                    error = error if isinstance(error, RangeTooLarge) else failure
                    continue
                if result is not None:
                    return result
                unknown = True
            if waiting and (not running or (not done and waiting[0].budget.wait() == 0)):
                start()
            elif not done:
                patience = None
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if error is not None and not unknown:
        raise error
    return UNKNOWN
