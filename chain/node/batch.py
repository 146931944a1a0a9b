"""Many questions in one request: how many a node takes at once, and the questions of one moment gathered node by node."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

from chain.errors import NodeError
from kit.clock import Clock

MAX_BATCH: Final = 100
"""Questions in one request; go-ethereum's server, which mezod uses, takes a thousand, hosted gateways fewer."""
RETRY_AFTER: Final = 3600.0
"""Seconds before a node that took no batch is tried again."""


class BatchSize:
    """How many questions one node takes at once."""

    def __init__(self, clock: Clock) -> None:
        """As many as most take."""
        self._clock = clock
        self._size = MAX_BATCH
        self._until = 0.0

    @property
    def size(self) -> int:
        """So many; 1 where it takes no batches."""
        return self._size if self._clock.monotonic() < self._until else MAX_BATCH

    def refused(self, asked: int) -> None:
        """So many questions were too many, or the node takes no batches at all."""
        self._size, self._until = max(asked // 5, 1), self._clock.monotonic() + RETRY_AFTER


class BatchTarget(Protocol):
    """The part of a node that is used here."""

    @property
    def usable(self) -> bool:
        """May be asked now."""
        ...

    @property
    def max_batch(self) -> int:
        """Questions it takes in one request."""
        ...

    async def call_many(self, calls: Sequence[tuple[str, list[Any]]], timeout: float | None = None) -> list[Any]:
        """The result of each, or its NodeError."""
        ...


class Batcher:
    """Collects what is asked of each node in the same moment, and asks it together. Each asker sees only its own answer."""

    def __init__(self, later: Callable[[Awaitable[None]], None]) -> None:
        """`later` runs what sends."""
        self._later = later
        self._waiting: dict[BatchTarget, list[tuple[tuple[str, list[Any]], asyncio.Future[Any]]]] = {}

    async def call(self, node: BatchTarget, method: str, params: list[Any], timeout: float | None = None) -> Any:
        """The result of one call. Raises NodeError."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(node)
        if waiting is None:
            waiting = self._waiting[node] = []
            self._later(self._send(node, timeout))
        waiting.append(((method, params), future))
        return await future

    async def _send(self, node: BatchTarget, timeout: float | None) -> None:
        # After one turn of the event loop, every task that was about to ask has asked.
        await asyncio.sleep(0)
        waiting = self._waiting.pop(node)
        failed: NodeError | None = None
        try:
            while part := [one for one in waiting if not one[1].done()][: node.max_batch]:
                # A node that hangs costs one deadline, not one for each part.
                answers = [failed] * len(part) if failed else await node.call_many([call for call, _ in part], timeout)
                for (_, future), answer in zip(part, answers, strict=True):
                    if future.done():
                        continue
                    if isinstance(answer, NodeError):
                        future.set_exception(answer)
                    else:
                        future.set_result(answer)
                if isinstance(answers[-1], NodeError) and not node.usable:
                    failed = answers[-1]
        except Exception as error:  # noqa: BLE001 - a fault of ours: whoever asked has to hear of it, or would wait for ever
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
        finally:
            for _, future in waiting:
                future.cancel()
