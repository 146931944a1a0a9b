"""Wait for something that happens in another task, process or machine."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast, overload

T = TypeVar("T")


@overload
async def eventually(
    probe: Callable[[], Awaitable[T]], *, within: float = 60.0, every: float = 0.05, what: str = ""
) -> T: ...


@overload
async def eventually(probe: Callable[[], T], *, within: float = 60.0, every: float = 0.05, what: str = "") -> T: ...


async def eventually(
    probe: Callable[[], Awaitable[T] | T], *, within: float = 60.0, every: float = 0.05, what: str = ""
) -> T:
    """Call `probe` until its result is truthy, and return that result.

    `probe` may be a plain function or a coroutine function. It runs at once, and again `every` seconds after each run.
    Raises AssertionError, with the last result and `what`, when `within` seconds have passed; a probe that hangs is cancelled.
    """
    last: object = None
    try:
        async with asyncio.timeout(within) as limit:
            while True:
                result = probe()
                value = await cast("Awaitable[T]", result) if inspect.isawaitable(result) else result
                if value:
                    return value
                last = value
                await asyncio.sleep(every)
    except TimeoutError:
        if not limit.expired():
            raise
    raise AssertionError(f"{what or 'the condition'} did not hold within {within:g} s; last result: {last!r}")
