"""Send one call to every node and collect the replies as they come; a node that hangs does not delay the others."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from chain.errors import NodeError, NodeTimeout, OutOfBudget, RateLimited, Unreachable, WrongChain
from chain.node.node import Node

LEAD: Final = 2.0
"""Seconds that `ask_in_order` waits for one node before it asks the next."""


@dataclass(frozen=True, slots=True)
class NodeReply:
    """One node's reply to a call: a result or an error."""

    node: str
    result: Any = None
    error: NodeError | None = None

    @property
    def is_silence(self) -> bool:
        """Whether the node gave no answer that could be read, was not called, or serves another chain."""
        return isinstance(self.error, Unreachable | NodeTimeout | RateLimited | OutOfBudget | WrongChain)


class FanOut:
    """One call to several nodes: to all at once, or to one after another until a reply suffices."""

    def __init__(self, ask: Callable[[Node], Awaitable[Any]], nodes: Sequence[Node]) -> None:
        """Prepare the call: `ask` sends it to one node and raises NodeError; `nodes` are in the order of preference."""
        self._ask = ask
        self._waiting = list(nodes)
        self._asked: dict[asyncio.Task[NodeReply], str] = {}

    async def ask_in_order(self, until: Callable[[NodeReply], bool]) -> None:
        """Ask the nodes one after another, until one reply satisfies `until`."""
        while self._waiting and not any(until(reply) for reply in self._replies()):
            await asyncio.wait({self._start()}, timeout=LEAD)

    async def collect(
        self, enough: int, patience: float | None, later: Callable[[Awaitable[None]], None]
    ) -> list[NodeReply]:
        """Ask all nodes that were not asked yet at once, and return the replies of all.

        With `patience`, silent nodes have this many seconds once `enough` providers have answered; their calls then continue in the
        background through `later`, and their replies are missing here.
        """
        while self._waiting:
            self._start()
        pending = self._pending()
        while pending and (patience is None or self._answered_providers() < enough):
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if pending:
            _, pending = await asyncio.wait(pending, timeout=patience)
        replies = self._replies()
        if pending:
            later(outlast(pending))
        return replies

    def cancel(self) -> None:
        """Cancel the calls that have not ended."""
        for task in self._pending():
            task.cancel()

    def _start(self) -> asyncio.Task[NodeReply]:
        node = self._waiting.pop(0)
        task = asyncio.create_task(self._reply(node))
        self._asked[task] = node.provider
        return task

    async def _reply(self, node: Node) -> NodeReply:
        try:
            return NodeReply(node.name, result=await self._ask(node))
        except NodeError as error:
            return NodeReply(node.name, error=error)

    def _pending(self) -> set[asyncio.Task[NodeReply]]:
        return {task for task in self._asked if not task.done()}

    def _replies(self) -> list[NodeReply]:
        return [task.result() for task in self._asked if task.done()]

    def _answered_providers(self) -> int:
        return len({provider for task, provider in self._asked.items() if task.done() and not task.result().is_silence})


async def outlast(tasks: set[asyncio.Task[Any]]) -> None:
    """Wait for calls whose results are no longer needed, so that a node's silence is still recorded. Cancelling this cancels them."""
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        raise
