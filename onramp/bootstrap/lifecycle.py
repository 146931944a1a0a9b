"""Stop parts at the end of an `AsyncExitStack`, each within its time limit."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from kit.shutdown import stop_within

Stop = Callable[[], Awaitable[object]]


def stop_later(stack: AsyncExitStack, seconds: float, part: str, stop: Stop) -> None:
    """Register `stop` with `stack`; when it runs it may take `seconds`. `part` names the part in the log."""
    stop_together_later(stack, seconds, {part: stop})


def stop_together_later(stack: AsyncExitStack, seconds: float, stops: Mapping[str, Stop]) -> None:
    """Register several stops that run side by side; each may take `seconds`. The keys name the parts in the log."""

    async def run() -> None:
        await asyncio.gather(*(stop_within(seconds, part, stop()) for part, stop in stops.items()))

    stack.push_async_callback(run)
