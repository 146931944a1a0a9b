"""Ask every node for its newest block, in one probe that concurrent callers share."""

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
    """Asks all usable nodes for their newest block, once for all concurrent callers; each node stores its own head."""

    def __init__(
        self,
        nodes: Callable[[], Sequence[Node]],
        enough: int,
        later: Callable[[Awaitable[None]], None],
        done: Callable[[], None],
    ) -> None:
        """Prepare to probe `nodes()`. After `enough` answers, slow calls continue through `later`; `done` is called after each probe."""
        self._nodes = nodes
        self._enough = enough
        self._later = later
        self._done = done
        self._running: asyncio.Task[None] | None = None
        self._at: float | None = None

    async def run(self, *, force: bool = False) -> None:
        """Probe now, join the running probe, or accept the result of a recent one.

        With `force`, only a probe that began after this call is accepted.
        """
        if force and self._running is not None:
            await asyncio.shield(self._running)
        if self._running is None:
            if not force and self._at is not None and asyncio.get_running_loop().time() - self._at < _FRESH:
                return
            self._running = asyncio.create_task(self._all())
        # Shielded: one caller that is cancelled must not cancel the probe for the others.
        await asyncio.shield(self._running)

    def expire(self) -> None:
        """Make the next `run` probe again, however recent the last probe was."""
        self._at = None

    async def close(self) -> None:
        """Cancel a running probe."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _all(self) -> None:
        unbind()
        tasks = {asyncio.create_task(_ask(node)) for node in self._nodes() if node.usable}
        pending = tasks
        try:
            while pending:
                answered = len(tasks) - len(pending)
                # A node that hangs must not delay the block: once enough have answered, the others have a short grace time.
                timeout = _GRACE if answered >= self._enough else None
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
        return  # the node recorded the error
