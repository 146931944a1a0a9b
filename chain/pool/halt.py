"""Whether the chain itself stands still: halted, as at each upgrade of Mezo, or refusing user transactions."""

from typing import Final

from kit.clock import Clock

STALL_AFTER: Final = 30.0
"""Seconds without a new agreed block before the chain counts as halted; Mezo makes one every 3.6 s."""
REFUSED_SECONDS: Final = 60.0
"""How long it counts that a transaction was refused for a lockdown; what is signed is sent again every few seconds."""


class HaltDetector:
    """A reason to wait, never to fail anything."""

    def __init__(self, clock: Clock) -> None:
        """The chain moves until it is seen to stand still."""
        self.lockdown = False
        """The chain's emergency control refuses user transactions, as last looked up."""
        self._clock = clock
        self._head = -1
        self._head_at = clock.monotonic()
        self._refused_until = float("-inf")

    def record_head(self, head: int) -> None:
        """This is the agreed head now."""
        if head > self._head:
            self._head, self._head_at = head, self._clock.monotonic()

    def record_broadcast(self, *, lockdown: bool) -> None:
        """What became of a transaction that was sent: enough providers refused it for a lockdown, or one took it."""
        self._refused_until = self._clock.monotonic() + REFUSED_SECONDS if lockdown else float("-inf")

    @property
    def reason(self) -> str | None:
        """Why it stands still; None while it moves."""
        now = self._clock.monotonic()
        if self.lockdown or now < self._refused_until:
            return "the chain refuses user transactions (lockdown)"
        if now - self._head_at > STALL_AFTER:
            return f"no new block for {now - self._head_at:.0f} s"
        return None
