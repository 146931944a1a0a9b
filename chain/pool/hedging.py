"""A hint from the first node that has one: the preferred first, the next when that fails or is slower than usual."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from chain.errors import CallReverted, NodeError, RangeTooLarge
from chain.node.node import Node

UNKNOWN: Final = object()
"""Every node that answered said null."""

_Ask = Callable[[Node], Coroutine[Any, Any, Any]]


class _Rivals:
    """Those who are asked as well when the one asked first is slow; their answer ends the wait for it.

    The first is asked in the caller's own task: a quick answer, which is what comes nearly always, costs a timer and no task.
    """

    def __init__(self, nodes: Sequence[Node], ask: _Ask) -> None:
        self._nodes = nodes
        self._ask = ask
        self._wait = asyncio.timeout(None)
        self._waiting = False
        self._task: asyncio.Task[Any] | None = None

    async def outrun(self, answer: Coroutine[Any, Any, Any], patience: float) -> Any:
        """The answer, the rivals being started after `patience` seconds. Raises TimeoutError where theirs came before it."""
        timer = asyncio.get_running_loop().call_later(patience, self._start)
        self._waiting = True
        try:
            async with self._wait:
                return await answer
        finally:
            self._waiting = False
            timer.cancel()

    def _start(self) -> None:
        if self._nodes[0].budget.wait() == 0:
            self._task = asyncio.create_task(first(self._nodes, self._ask))
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if self._waiting and (isinstance(error, CallReverted) if error else task.result() is not UNKNOWN):
            self._wait.reschedule(task.get_loop().time())

    async def answer(self) -> Any:
        """Theirs, whether they were started or not."""
        return await (self._task or first(self._nodes, self._ask))

    async def end(self) -> None:
        """Their answer is waited for no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


async def first(nodes: Sequence[Node], ask: _Ask) -> Any:
    """The first answer that is not null, or UNKNOWN. Raises CallReverted at once, NodeError where none answered.

    A node that exceeds its own p95 is overtaken by the next one, and still wins if it is quicker after all. A second question is sent only
    where its node's budget has one to spare at once.
    """
    head, others = nodes[0], nodes[1:]
    if not others:
        alone = await ask(head)
        return UNKNOWN if alone is None else alone
    rivals = _Rivals(others, ask)
    failure: NodeError | None = None
    try:
        try:
            answer = await rivals.outrun(ask(head), head.latency.hedge_delay)
            if answer is not None:
                return answer
        except CallReverted:
            raise
        except NodeError as error:
            failure = error
        except TimeoutError:
            pass  # overtaken: what the rivals say is there
        try:
            return await rivals.answer()
        except CallReverted:
            raise
        except NodeError as error:
            if failure is None:
                return UNKNOWN
            # Of several failures the one that the caller can act on is told.
            failure = failure if isinstance(failure, RangeTooLarge) else error
        raise failure
    finally:
        await rivals.end()
