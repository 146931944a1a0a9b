"""Asking every node for its newest block, once for all who want to know at the same moment."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from chain.errors import NodeError
from chain.node.node import Node
from chain.pool.fan_out import outlast
from kit.logs import unbind

_TIMEOUT = 5.0
_GRACE = 0.5
_FRESH = 0.25


class Probe:
    """Shares one probe among its callers; each node takes note of its own head."""

    def __init__(
        self,
        nodes: Callable[[], Sequence[Node]],
        enough: int,
        later: Callable[[Awaitable[None]], None],
        done: Callable[[], None],
    ) -> None:
        """After `enough` answers a slow node is left to end through `later`; `done` is called after each probe."""
        self._nodes = nodes
        self._enough = enough
        self._later = later
        self._done = done
        self._running: asyncio.Task[None] | None = None
        self._at: float | None = None

    async def run(self, *, force: bool = False) -> None:
        """Probe now, join the probe that runs, or be content with one of a moment ago.

        `force`: only a probe that began after this call will do.
        """
        if force and self._running is not None:
            await asyncio.shield(self._running)
        if self._running is None:
            if not force and self._at is not None and asyncio.get_running_loop().time() - self._at < _FRESH:
                return
            self._running = asyncio.create_task(self._all())
        # Shielded: one caller that gives up must not take the answer from the others.
        await asyncio.shield(self._running)

    def forget(self) -> None:
        """The last answer is not good enough for whoever asks next."""
        self._at = None

    async def close(self) -> None:
        """End a probe that still runs."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _all(self) -> None:
        unbind()
        tasks = {asyncio.create_task(_ask(node)) for node in self._nodes() if node.usable}
        pending = tasks
        try:
            while pending:
                spoken = len(tasks) - len(pending)
                # A node that hangs must not hold up the block: once enough have spoken the rest have a moment.
                timeout = _GRACE if spoken >= self._enough else None
                done, pending = await asyncio.wait(pending, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    self._later(outlast(pending))
                    break
            self._done()
        except asyncio.CancelledError:
            for task in pending:
                task.cancel()
            raise
        finally:
            self._at = asyncio.get_running_loop().time()
            self._running = None


async def _ask(node: Node) -> None:
    try:
        await node.call("eth_blockNumber", [], _TIMEOUT)
    except NodeError:
        return  # the node has taken note of it
