"""Measure how long one request delays all others: the longest single step of the event loop, in CPU seconds.

The service runs in the test's own loop, and the client in a thread, so that what the loop does is the service's work. CPU time of the
loop's thread is counted instead of time on the wall: other processes on a busy machine do not lengthen it.
"""

import asyncio
import gc
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from onramp.bootstrap.server import tune_garbage_collection

LONGEST_STEP: Final = 0.05
"""Seconds that one step may take."""
SECONDS: Final = 30.0
"""How long a client waits for the end of an answer."""


@dataclass(slots=True)
class Steps:
    """What the loop did while it was watched."""

    longest: float = 0.0
    where: str = ""
    count: int = 0
    total: float = 0.0
    slow: list[tuple[float, str]] = field(default_factory=list)

    def took(self, seconds: float, callback: object) -> None:
        """Note one step."""
        self.count += 1
        self.total += seconds
        if seconds > self.longest:
            self.longest, self.where = seconds, repr(callback)[:300]
        if seconds > LONGEST_STEP:
            self.slow.append((seconds, repr(callback)[:300]))


@contextmanager
def watched() -> Iterator[Steps]:
    """Measure each step of the running asyncio loop (not uvloop, whose steps cannot be seen from Python)."""
    steps = Steps()
    original = asyncio.Handle._run

    def run(handle: Any) -> None:
        callback, began = handle._callback, time.thread_time()
        original(handle)
        steps.took(time.thread_time() - began, callback)

    asyncio.Handle._run = run  # type: ignore[method-assign, assignment]
    try:
        yield steps
    finally:
        asyncio.Handle._run = original  # type: ignore[method-assign]


@contextmanager
def collected() -> Iterator[None]:
    """Spare what is in memory already the garbage collector, as the service does at its start: no step walks what other tests left."""
    thresholds = gc.get_threshold()
    tune_garbage_collection()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


def raw(api: str, data: bytes, *, stop: Callable[[bytes], bool] | None = None, pause: float = 0.0) -> bytes:
    """Send these bytes from a thread and read until the server closes, or until `stop` is content with what came.

    A server that closes while it is still being sent to is no error: what it answered before counts.
    """
    parts = urlsplit(api)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=SECONDS) as connection:
        with suppress(OSError):
            connection.sendall(data)
        if pause:
            time.sleep(pause)
        came = b""
        while not (stop is not None and stop(came)):
            try:
                more = connection.recv(1 << 16)
            except OSError:
                break
            if not more:
                break
            came += more
    return came


async def longest(ask: Callable[[], object], tries: int = 3) -> Steps:
    """Ask from a thread, up to `tries` times where a step was long; the run whose longest step was shortest, since noise only adds."""
    runs = []
    for number in range(tries):
        with collected() if number else nullcontext(), watched() as steps:  # collecting takes a second
            await asyncio.to_thread(ask)
        runs.append(steps)
        if steps.longest < LONGEST_STEP / 2:
            break
    return min(runs, key=lambda steps: steps.longest)
