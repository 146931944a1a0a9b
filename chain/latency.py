"""How quickly a node answers: the last answers, not an average of all time."""

from collections import deque
from typing import Final

SAMPLES: Final = 128
ENOUGH: Final = 16
"""Fewer say nothing about a percentile."""


class Latency:
    """Seconds of the newest good answers."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._seconds: deque[float] = deque(maxlen=SAMPLES)

    def note(self, seconds: float) -> None:
        """One more."""
        self._seconds.append(seconds)

    def percentile(self, percent: int) -> float | None:
        """Seconds within which so many of a hundred answers came; None before anything came."""
        if not self._seconds:
            return None
        ordered = sorted(self._seconds)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]

    @property
    def patience(self) -> float | None:
        """Its own p95: who is slower than that may be overtaken. None while too little is known."""
        return self.percentile(95) if len(self._seconds) >= ENOUGH else None
