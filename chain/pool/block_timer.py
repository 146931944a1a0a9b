"""When to look for the next block: at the pace of the blocks, learned from the blocks themselves."""

from typing import Final

from kit.clock import Clock

INITIAL_WAIT: Final = 1.0
"""Seconds between looks while nothing is known of the pace."""
RETRY_WAIT: Final = 0.26
"""Between two looks for a block that is due. A pool answers out of its memory for a quarter of a second."""
MAX_WAIT: Final = 5.0
"""Mezo takes 3.6 s for a block: an estimate gone wrong costs one block at most."""
MAX_RETRY_WAIT: Final = 2.0
"""Between two looks at a chain that makes no blocks, or that nobody tells of."""
_LEARN: Final = 0.2
_WIDE: Final = 1.5
"""A block is looked for so many mean deviations before it is expected, but not more than `_EARLY` seconds."""
_SLOWER: Final = 1.5
_EARLY: Final = 0.1
_SHORTEST: Final = 0.01
"""Seconds between blocks, at the least: a node that mines what it is sent makes several at once."""
_LATE: Final = 0.5


class BlockTimer:
    """Says when the next look is due: a little before the next block may be there, and then again and again until it is.

    Where somebody tells of each block, looks without being told come late: they find what was not told.
    """

    def __init__(self, clock: Clock) -> None:
        """Due at once."""
        self._clock = clock
        self._between: float | None = None
        self._spread = 0.0
        self._head: int | None = None
        self._head_at = 0.0
        self._due = float("-inf")
        self._tries = 0
        self._told = False

    def announce(self) -> None:
        """Somebody says that a block is there."""
        self._told = True
        self._due = min(self._due, self._clock.monotonic())

    @property
    def due(self) -> bool:
        """It is time to look."""
        return self._clock.monotonic() >= self._due

    @property
    def seconds_left(self) -> float:
        """Seconds until it is."""
        return max(0.0, self._due - self._clock.monotonic())

    def record_head(self, head: int | None) -> None:
        """This was the newest block; None where nobody knew."""
        now = self._clock.monotonic()
        if head is None or (self._head is not None and head <= self._head):
            self._tries += 1
            self._due = now + self._retry_wait(now)
            return
        came = now if self._head is None else self._came(now, head - self._head)
        wait = INITIAL_WAIT if self._between is None else self._between
        early = (
            -_LATE if self._told else min(_EARLY, _WIDE * self._spread + (RETRY_WAIT / 3 if self._tries == 0 else 0.0))
        )
        self._head, self._head_at, self._tries, self._told = head, came, 0, False
        self._due = max(now + RETRY_WAIT, min(came + wait - early, now + MAX_WAIT))

    def _came(self, now: float, blocks: int) -> float:
        """When the newest of so many new blocks came, as far as one can tell."""
        seen = max(_SHORTEST, (now - self._head_at) / blocks)
        if self._between is None or not self._between / 2 < seen < self._between * 2:
            self._between, self._spread = seen, seen / 8
            return now
        expected = self._head_at + blocks * self._between
        if self._told:
            came = now
        elif self._tries:
            came = now - RETRY_WAIT / 2
        else:
            # There at the first look: since when, nobody knows. It would draw out the estimate to take this moment for it.
            came = min(now, expected)
        off = (came - expected) / blocks
        self._spread += _LEARN * (abs(off) - self._spread)
        self._between = max(_SHORTEST, self._between + _LEARN * off)
        return came

    def _retry_wait(self, now: float) -> float:
        if self._between is None:
            return INITIAL_WAIT
        # Often while it may come at any moment; when it is long overdue the chain may be halted.
        late = (now - self._head_at) / self._between
        return RETRY_WAIT if late < _SLOWER else min(RETRY_WAIT * late, MAX_RETRY_WAIT)
