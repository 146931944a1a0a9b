"""A hint from the first node that has one: the preferred first, the next when that fails or is slower than it uses to be."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from chain.errors import CallReverted, NodeError, RangeTooLarge
from chain.node import Node

UNKNOWN: Final = object()
"""Every node that answered said null."""


class _Race:
    """The questions under way: each node is asked in a task of its own, and who is slow may be overtaken."""

    def __init__(self, nodes: Sequence[Node], ask: Callable[[Node], Coroutine[Any, Any, Any]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ask = ask
        self._waiting = deque(nodes)
        self._events: asyncio.Queue[asyncio.Task[Any] | None] = asyncio.Queue()
        self._timer: asyncio.TimerHandle | None = None
        self.running: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Ask the next node."""
        node = self._waiting.popleft()
        task = self._loop.create_task(self._ask(node))
        task.add_done_callback(self._events.put_nowait)
        self.running.add(task)
        if self._timer is not None:
            self._timer.cancel()
        patience = node.latency.patience if self._waiting else None
        self._timer = None if patience is None else self._loop.call_later(patience, self._slow, task)

    def _slow(self, task: asyncio.Task[Any]) -> None:
        if not task.done():
            self._events.put_nowait(None)

    async def event(self) -> asyncio.Task[Any] | None:
        """A task that ended, or None: the one started last is slow."""
        ended = await self._events.get()
        if ended is not None:
            self.running.remove(ended)
        return ended

    def may_start(self, *, slow: bool) -> bool:
        """Whether another is to be asked: nobody is any more, or somebody is `slow` and the next has a question to spare."""
        return bool(self._waiting) and (not self.running or (slow and self._waiting[0].budget.wait() == 0))

    async def end(self) -> None:
        """Nobody's answer is waited for any longer."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self.running:
            task.cancel()
        if self.running:
            await asyncio.gather(*self.running, return_exceptions=True)


async def first(nodes: Sequence[Node], ask: Callable[[Node], Coroutine[Any, Any, Any]]) -> Any:
    """The first answer that is not null, or UNKNOWN. Raises CallReverted at once, NodeError where none answered.

    A node that exceeds its own p95 is overtaken by the next one, and still wins if it is quicker after all. A second question is sent only
    where its node's budget has one to spare at once.
    """
    race = _Race(nodes, ask)
    error: NodeError | None = None
    unknown = False
    race.start()
    try:
        while race.running:
            ended = await race.event()
            if ended is not None:
                try:
                    result = ended.result()
                except CallReverted:
                    raise
                except NodeError as failure:
                    # Of several failures the one that the caller can act on is told.
                    error = error if isinstance(error, RangeTooLarge) else failure
                else:
                    if result is not None:
                        return result
                    unknown = True
            if race.may_start(slow=ended is None):
                race.start()
    finally:
        await race.end()
    if error is not None and not unknown:
        raise error
    return UNKNOWN
