"""An orderly stop that ends in time, whatever hangs: platforms kill what does not, and then nothing is given back at all."""

import asyncio
import os
import threading
from collections.abc import Awaitable

from kit.logs import get_logger

log = get_logger(__name__)


async def within(seconds: float, part: str, work: Awaitable[object]) -> None:
    """Wait for `work`, which stops `part`; given up, with a line in the log, after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        log.warning("stop.given_up", part=part, seconds=seconds)


def end_process_within(seconds: float) -> None:
    """End this process after `seconds` even where its stop hangs, as in a thread that waits for a name server.

    What was not given back runs out by itself: leases, heartbeats, connections. The exit code is 0, as of a stop that was asked for.
    """

    def end() -> None:
        log.error("stop.forced", seconds=seconds)
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
