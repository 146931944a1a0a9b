"""The same question to every node, its answers as they come; one that hangs is asked like all others, and holds nobody up."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from chain.errors import NodeError, NodeTimeout, OutOfBudget, RateLimited, Unreachable, WrongChain
from chain.node.node import Node

LEAD: Final = 2.0
"""Seconds that one node may keep those who are to be asked after it waiting."""


@dataclass(frozen=True, slots=True)
class NodeReply:
    """What one node said in `everywhere`: a result, or an error."""

    node: str
    result: Any = None
    error: NodeError | None = None

    @property
    def is_silence(self) -> bool:
        """Nothing came that could be read, or nothing was asked."""
        return isinstance(self.error, Unreachable | NodeTimeout | RateLimited | OutOfBudget | WrongChain)


class FanOut:
    """One question on its way to every node."""

    def __init__(self, ask: Callable[[Node], Awaitable[Any]], nodes: Sequence[Node]) -> None:
        """`ask` raises NodeError; the `nodes` in the order of preference."""
        self._ask = ask
        self._waiting = list(nodes)
        self._asked: dict[asyncio.Task[NodeReply], str] = {}

    async def lead(self, until: Callable[[NodeReply], bool]) -> None:
        """Ask one after another, until it is true of an answer."""
        while self._waiting and not any(until(answer) for answer in self._answers()):
            await asyncio.wait({self._start()}, timeout=LEAD)

    async def hear(
        self, enough: int, patience: float | None, later: Callable[[Awaitable[None]], None]
    ) -> list[NodeReply]:
        """Ask all others at once. With `patience`, whoever is silent has so many seconds once `enough` providers have answered.

        What is not waited for goes on in the background.
        """
        while self._waiting:
            self._start()
        pending = self._pending()
        while pending and (patience is None or self._voices() < enough):
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if pending:
            _, pending = await asyncio.wait(pending, timeout=patience)
        answers = self._answers()
        if pending:
            later(outlast(pending))
        return answers

    def cancel(self) -> None:
        """Nobody wants to know any more."""
        for task in self._pending():
            task.cancel()

    def _start(self) -> asyncio.Task[NodeReply]:
        node = self._waiting.pop(0)
        task = asyncio.create_task(self._answer(node))
        self._asked[task] = node.provider
        return task

    async def _answer(self, node: Node) -> NodeReply:
        try:
            return NodeReply(node.name, result=await self._ask(node))
        except NodeError as error:
            return NodeReply(node.name, error=error)

    def _pending(self) -> set[asyncio.Task[NodeReply]]:
        return {task for task in self._asked if not task.done()}

    def _answers(self) -> list[NodeReply]:
        return [task.result() for task in self._asked if task.done()]

    def _voices(self) -> int:
        return len({who for task, who in self._asked.items() if task.done() and not task.result().is_silence})


async def outlast(tasks: set[asyncio.Task[Any]]) -> None:
    """Wait for what nobody waits for, so that a node's silence is noticed and ends with the pool."""
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        raise
