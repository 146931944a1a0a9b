"""How quickly a node answers: the last answers, not an average of all time."""

from bisect import bisect_left, insort
from collections import deque
from typing import Final

SAMPLES: Final = 128
MIN_SAMPLES: Final = 16
"""Fewer say nothing about a percentile."""
DEFAULT_DELAY: Final = 1.0
"""Seconds that a node has of which too little is known."""


class Latency:
    """Seconds of the newest good answers."""

    def __init__(self) -> None:
        """Before the first answer."""
        self._seconds: deque[float] = deque()
        # The same in order of size: a percentile is asked before each call, and sorting would be a fifth of the call's work.
        self._ordered: list[float] = []

    def record(self, seconds: float) -> None:
        """An answer took so many seconds."""
        if len(self._seconds) == SAMPLES:
            del self._ordered[bisect_left(self._ordered, self._seconds.popleft())]
        self._seconds.append(seconds)
        insort(self._ordered, seconds)

    def percentile(self, percent: int) -> float | None:
        """Seconds within which so many of a hundred answers came; None before anything came."""
        count = len(self._ordered)
        return self._ordered[min(count - 1, count * percent // 100)] if count else None

    @property
    def hedge_delay(self) -> float:
        """Its own p95: who is slower than that may be overtaken."""
        known = self.percentile(95) if len(self._ordered) >= MIN_SAMPLES else None
        return DEFAULT_DELAY if known is None else known
