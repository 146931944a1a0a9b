"""Stop in an orderly way and in time, whatever hangs. Platforms kill a process that takes too long, and then nothing is released."""

import asyncio
import os
import threading
from collections.abc import Awaitable

from kit.logs import get_logger

log = get_logger(__name__)


async def stop_within(seconds: float, part: str, stop: Awaitable[object]) -> None:
    """Wait up to `seconds` for `stop`, which stops the part of the service named `part`; after that it is cancelled and a warning is logged."""
    try:
        async with asyncio.timeout(seconds):
            await stop
    except TimeoutError:
        log.warning("stop.given_up", part=part, seconds=seconds)


def exit_after(seconds: float) -> None:
    """End this process with exit code 0 after `seconds`, even if its shutdown hangs, as in a thread that waits for a name server.

    Leases, heartbeats and connections that were not released expire by themselves.
    """

    def end() -> None:
        log.error("stop.forced", seconds=seconds)
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
