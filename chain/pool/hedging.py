"""Hedged requests: ask the preferred node first, and the next one as well when it fails or is slower than usual."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from chain.errors import CallReverted, NodeError, RangeTooLarge
from chain.node.node import Node

UNKNOWN: Final = object()
"""The result if every node that answered returned null."""

_Ask = Callable[[Node], Coroutine[Any, Any, Any]]


class _Hedge:
    """The call to the other nodes, started when the first node is slow; its answer ends the wait for the first node.

    The first node is called in the caller's own task, so that the usual quick answer costs a timer and no task.
    """

    def __init__(self, nodes: Sequence[Node], ask: _Ask) -> None:
        self._nodes = nodes
        self._ask = ask
        self._timeout = asyncio.timeout(None)
        self._waiting = False
        self._task: asyncio.Task[Any] | None = None

    async def race(self, answer: Coroutine[Any, Any, Any], delay: float) -> Any:
        """Return the first node's answer; the other nodes are asked after `delay` seconds. Raises TimeoutError if they answer first."""
        timer = asyncio.get_running_loop().call_later(delay, self._start)
        self._waiting = True
        try:
            async with self._timeout:
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
            self._timeout.reschedule(task.get_loop().time())

    async def answer(self) -> Any:
        """Return the other nodes' answer, asking them now if they were not asked yet."""
        return await (self._task or first(self._nodes, self._ask))

    async def cancel(self) -> None:
        """Cancel the call to the other nodes."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


async def first(nodes: Sequence[Node], ask: _Ask) -> Any:
    """Return the first answer that is not null, or UNKNOWN. Raises CallReverted at once, another NodeError if no node answered.

    When a node exceeds its own p95 the next one is asked as well, and the quicker answer wins. The second call is sent only
    if its node's budget allows it without waiting.
    """
    preferred, others = nodes[0], nodes[1:]
    if not others:
        result = await ask(preferred)
        return UNKNOWN if result is None else result
    hedge = _Hedge(others, ask)
    failure: NodeError | None = None
    try:
        try:
            answer = await hedge.race(ask(preferred), preferred.latency.hedge_delay)
            if answer is not None:
                return answer
        except CallReverted:
            raise
        except NodeError as error:
            failure = error
        except TimeoutError:
            pass  # the other nodes answered first
        try:
            return await hedge.answer()
        except CallReverted:
            raise
        except NodeError as error:
            if failure is None:
                return UNKNOWN
            # Of several failures, raise the one that the caller can act on.
            failure = failure if isinstance(failure, RangeTooLarge) else error
        raise failure
    finally:
        await hedge.cancel()
