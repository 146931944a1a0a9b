"""Batch JSON-RPC calls: learn how many a node accepts in one request, and send concurrent calls to a node together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

from chain.errors import NodeError
from kit.clock import Clock

MAX_BATCH: Final = 100
"""The most calls in one request. go-ethereum's server, which mezod uses, accepts a thousand; hosted gateways accept fewer."""
RETRY_AFTER: Final = 3600.0
"""Seconds before a larger batch is tried again at a node that refused one."""


class BatchSize:
    """The number of calls that one node accepts in a batch."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._size = MAX_BATCH
        self._until = 0.0

    @property
    def size(self) -> int:
        """The most calls to send in one batch now; 1 if the node accepts no batches."""
        return self._size if self._clock.monotonic() < self._until else MAX_BATCH

    def refused(self, calls: int) -> None:
        """Record that the node refused a batch of `calls` calls: for an hour, batches are a fifth as large."""
        self._size, self._until = max(calls // 5, 1), self._clock.monotonic() + RETRY_AFTER


class BatchTarget(Protocol):
    """The part of `Node` that a batcher uses."""

    @property
    def usable(self) -> bool:
        """Whether the node may be called now."""
        ...

    @property
    def max_batch(self) -> int:
        """The number of calls that the node accepts in one request."""
        ...

    async def call_many(self, calls: Sequence[tuple[str, list[Any]]], timeout: float | None = None) -> list[Any]:
        """Return the result of each call, or its NodeError, in the order of `calls`."""
        ...


class Batcher:
    """Collects the concurrent calls to each node and sends them in one batch. Each caller receives only its own result."""

    def __init__(self, later: Callable[[Awaitable[None]], None]) -> None:
        """Create a batcher without calls; `later` runs a coroutine in the background, here the one that sends a batch."""
        self._later = later
        self._waiting: dict[BatchTarget, list[tuple[tuple[str, list[Any]], asyncio.Future[Any]]]] = {}

    async def call(self, node: BatchTarget, method: str, params: list[Any], timeout: float | None = None) -> Any:
        """Send one call together with others and return its result. Raises NodeError."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(node)
        if waiting is None:
            waiting = self._waiting[node] = []
            self._later(self._send(node, timeout))
        waiting.append(((method, params), future))
        return await future

    async def _send(self, node: BatchTarget, timeout: float | None) -> None:
        # After one turn of the event loop, every task that is ready has added its call.
        await asyncio.sleep(0)
        waiting = self._waiting.pop(node)
        failed: NodeError | None = None
        try:
            while part := [entry for entry in waiting if not entry[1].done()][: node.max_batch]:
                # A node that hangs costs one deadline, not one for each batch.
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
        except Exception as error:  # noqa: BLE001 - a bug of ours must reach the callers, or they would wait for ever
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
        finally:
            for _, future in waiting:
                future.cancel()
