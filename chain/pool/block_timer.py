"""When to poll for the next block, learned from the times of earlier blocks."""

from typing import Final

from kit.clock import Clock

INITIAL_WAIT: Final = 1.0
"""Seconds between polls until the block time is known."""
RETRY_WAIT: Final = 0.26
"""Seconds between polls for a block that is due. A pool answers from its last probe for a quarter of a second."""
MAX_WAIT: Final = 5.0
"""The most seconds between two polls. Mezo's block time is 3.6 s, so a wrong estimate costs one block at most."""
MAX_RETRY_WAIT: Final = 2.0
"""The most seconds between two polls while no block comes or no node answers."""
_LEARN: Final = 0.2
"""The weight of the newest block in the estimates, from 0 to 1."""
_DEVIATIONS: Final = 1.5
"""Polling begins this many mean deviations before the expected block, but not more than `_EARLY` seconds."""
_OVERDUE: Final = 1.5
"""How many block times without a block make polls rarer."""
_EARLY: Final = 0.1
_MIN_BLOCK_TIME: Final = 0.01
"""The shortest block time in seconds. A development node that mines each transaction produces several blocks at once."""
_LATE: Final = 0.5
"""Seconds from the expected block to the poll that checks whether an announcement is missing."""


class BlockTimer:
    """Tells when the next poll is due: shortly before the next block is expected, and then repeatedly until it comes.

    While blocks are announced, polls without an announcement come late: they only find blocks that were not announced.
    """

    def __init__(self, clock: Clock) -> None:
        """Start with a poll that is due at once."""
        self._clock = clock
        self._block_time: float | None = None
        self._spread = 0.0
        self._head: int | None = None
        self._head_at = 0.0
        self._due = float("-inf")
        self._tries = 0
        self._announced = False

    def announce(self) -> None:
        """Make a poll due at once, because a new block was announced."""
        self._announced = True
        self._due = min(self._due, self._clock.monotonic())

    @property
    def due(self) -> bool:
        """Whether a poll is due."""
        return self._clock.monotonic() >= self._due

    @property
    def seconds_left(self) -> float:
        """Seconds until the next poll is due."""
        return max(0.0, self._due - self._clock.monotonic())

    def record_head(self, head: int | None) -> None:
        """Record the result of a poll: the newest block, or None if it is not known."""
        now = self._clock.monotonic()
        if head is None or (self._head is not None and head <= self._head):
            self._tries += 1
            self._due = now + self._retry_wait(now)
            return
        arrived = now if self._head is None else self._arrival(now, head - self._head)
        wait = INITIAL_WAIT if self._block_time is None else self._block_time
        early = (
            -_LATE
            if self._announced
            else min(_EARLY, _DEVIATIONS * self._spread + (RETRY_WAIT / 3 if self._tries == 0 else 0.0))
        )
        self._head, self._head_at, self._tries, self._announced = head, arrived, 0, False
        self._due = max(now + RETRY_WAIT, min(arrived + wait - early, now + MAX_WAIT))

    def _arrival(self, now: float, blocks: int) -> float:
        """Estimate when the newest of these blocks arrived, and update the block time."""
        seen = max(_MIN_BLOCK_TIME, (now - self._head_at) / blocks)
        if self._block_time is None or not self._block_time / 2 < seen < self._block_time * 2:
            self._block_time, self._spread = seen, seen / 8
            return now
        expected = self._head_at + blocks * self._block_time
        if self._announced:
            arrived = now
        elif self._tries:
            arrived = now - RETRY_WAIT / 2
        else:
            # Already there at the first poll, since an unknown time. Taking the time of the poll would lengthen the estimate.
            arrived = min(now, expected)
        error = (arrived - expected) / blocks
        self._spread += _LEARN * (abs(error) - self._spread)
        self._block_time = max(_MIN_BLOCK_TIME, self._block_time + _LEARN * error)
        return arrived

    def _retry_wait(self, now: float) -> float:
        if self._block_time is None:
            return INITIAL_WAIT
        # Poll often while the block may come at any moment; when it is long overdue the chain may be halted.
        late = (now - self._head_at) / self._block_time
        return RETRY_WAIT if late < _OVERDUE else min(RETRY_WAIT * late, MAX_RETRY_WAIT)
