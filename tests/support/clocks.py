"""The two clocks of the tests: one that only the test moves, and the machine's own with an offset.

Both implement `kit.clock.Clock`.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 21, tzinfo=UTC)


class ManualClock:
    """A clock that moves only when the test, or a `sleep` of the code under test, moves it.

    `seconds` is what `monotonic` returns; `now` is `epoch` plus `seconds`. Sleeping takes no real time and moves the clock.
    """

    def __init__(self, seconds: float = 0.0, *, epoch: datetime = START) -> None:
        self.seconds = seconds
        self.epoch = epoch
        self.waits: list[float] = []
        """The argument of each `sleep`, in order."""

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self.seconds += seconds

    def now(self) -> datetime:
        return self.epoch + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds


class OffsetClock:
    """The machine's clock with its wall time moved by `ahead`; sleeping takes a hundredth of the time asked for."""

    def __init__(self, ahead: timedelta = timedelta()) -> None:
        self.ahead = ahead

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 100)
