"""Detect that the chain itself is halted, as at each upgrade of Mezo, or refuses user transactions."""

from typing import Final

from kit.clock import Clock

STALL_AFTER: Final = 30.0
"""Seconds without a new agreed block after which the chain counts as halted; Mezo produces one every 3.6 s."""
REFUSED_SECONDS: Final = 60.0
"""Seconds for which a broadcast refused for a lockdown counts as a halt; signed transactions are sent again every few seconds."""


class HaltDetector:
    """Tells whether the chain is halted, which is a reason to wait and never a reason to fail."""

    def __init__(self, clock: Clock) -> None:
        """Start as if a block had come just now, so the chain does not count as halted."""
        self.lockdown = False
        """Whether the chain's emergency control refused user transactions when it was last read."""
        self._clock = clock
        self._head = -1
        self._head_at = clock.monotonic()
        self._refused_until = float("-inf")

    def record_head(self, head: int) -> None:
        """Record the newest block that enough providers have reached."""
        if head > self._head:
            self._head, self._head_at = head, self._clock.monotonic()

    def record_broadcast(self, *, lockdown: bool) -> None:
        """Record a broadcast: `lockdown` if enough providers refused it for a lockdown, False if a node accepted it."""
        self._refused_until = self._clock.monotonic() + REFUSED_SECONDS if lockdown else float("-inf")

    @property
    def reason(self) -> str | None:
        """Why the chain is halted, in words for people; None if it is not."""
        now = self._clock.monotonic()
        if self.lockdown or now < self._refused_until:
            return "the chain refuses user transactions (lockdown)"
        if now - self._head_at > STALL_AFTER:
            return f"no new block for {now - self._head_at:.0f} s"
        return None
