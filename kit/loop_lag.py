"""How late the event loop runs what is due: the longest delay of the last seconds, as a metric."""

import asyncio
from contextlib import suppress
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from kit.clock import Clock

PAUSE_SECONDS: Final = 0.5
WINDOW_SECONDS: Final = 30.0
"""Each maximum is shown for one to two windows, so that no scrape misses it."""


class LoopLag:
    """Sleeps briefly, again and again, and shows by how much the longest of these sleeps was too long."""

    def __init__(self, clock: Clock, registry: CollectorRegistry, prefix: str) -> None:
        """Declare the metric `PREFIX_process_lag_seconds`."""
        self._clock = clock
        self._gauge = Gauge(
            f"{prefix}_process_lag_seconds",
            "Longest delay of this process's event loop in the last half minute to minute.",
            registry=registry,
        )
        self._earlier = 0.0
        self._current = 0.0
        self._began = clock.monotonic()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._task = asyncio.create_task(self._run(), name="loop lag")

    async def stop(self) -> None:
        """Stop measuring."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def observe(self, late: float) -> None:
        """Record that a sleep ended `late` seconds after it was due."""
        now = self._clock.monotonic()
        if now - self._began >= WINDOW_SECONDS:
            self._earlier, self._current, self._began = self._current, 0.0, now
        self._current = max(self._current, late)
        self._gauge.set(max(self._earlier, self._current))

    async def _run(self) -> None:
        while True:
            due = self._clock.monotonic() + PAUSE_SECONDS
            await self._clock.sleep(PAUSE_SECONDS)
            self.observe(max(0.0, self._clock.monotonic() - due))
