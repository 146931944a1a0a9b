"""What one process has seen of a node: how fast it answers, how it fails, what it cost. Lost at a restart, on purpose."""

from collections import Counter, deque
from math import ceil

from chain.metrics import CREDITS, DEFAULT_CREDITS

_WINDOW = 128


class Tally:
    """The last answers of one node, and totals since the start."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.requests = 0
        self.errors: Counter[str] = Counter()
        self.credits = 0
        self._seconds: deque[float] = deque(maxlen=_WINDOW)

    def note(self, method: str, outcome: str, seconds: float) -> None:
        """One call ended; a failure's time says how long we waited, not how fast the node is, and is left out."""
        self.requests += 1
        self.credits += CREDITS.get(method, DEFAULT_CREDITS)
        if outcome == "ok":
            self._seconds.append(seconds)
        elif outcome != "cancelled":
            self.errors[outcome] += 1

    def quantile(self, share: float) -> float | None:
        """Seconds within which `share` of the last 128 good answers came, by nearest rank; None before the first."""
        if not self._seconds:
            return None
        ordered = sorted(self._seconds)
        return ordered[max(ceil(share * len(ordered)), 1) - 1]
