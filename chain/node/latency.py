"""The latency of a node, measured over its newest answers."""

from bisect import bisect_left, insort
from collections import deque
from typing import Final

SAMPLES: Final = 128
MIN_SAMPLES: Final = 16
"""The fewest durations from which `hedge_delay` computes a percentile."""
DEFAULT_DELAY: Final = 1.0
"""The hedge delay in seconds while there are too few samples."""


class Latency:
    """The durations of one node's newest successful answers, in seconds."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque()
        # The same values, sorted: each call reads a percentile, and sorting each time would be a fifth of the call's work.
        self._ordered: list[float] = []

    def record(self, seconds: float) -> None:
        """Add the duration of a successful answer, in seconds."""
        if len(self._seconds) == SAMPLES:
            del self._ordered[bisect_left(self._ordered, self._seconds.popleft())]
        self._seconds.append(seconds)
        insort(self._ordered, seconds)

    def percentile(self, percent: int) -> float | None:
        """Return the seconds within which `percent` of the answers came; None without samples."""
        count = len(self._ordered)
        return self._ordered[min(count - 1, count * percent // 100)] if count else None

    @property
    def hedge_delay(self) -> float:
        """Seconds to wait for this node before the next one is asked as well: its own p95, or DEFAULT_DELAY while there are too few samples."""
        p95 = self.percentile(95) if len(self._ordered) >= MIN_SAMPLES else None
        return DEFAULT_DELAY if p95 is None else p95
