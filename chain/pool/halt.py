"""Whether the chain itself stands still: halted, as at each upgrade of Mezo, or refusing user transactions."""

from typing import Final

from kit.clock import Clock

STALL_AFTER: Final = 30.0
"""Seconds without a new agreed block before the chain counts as halted; Mezo makes one every 3.6 s."""
REFUSED_SECONDS: Final = 60.0
"""How long it counts that a transaction was refused for a lockdown; what is signed is sent again every few seconds."""


class Pause:
    """A reason to wait, never to fail anything."""

    def __init__(self, clock: Clock) -> None:
        """The chain moves until it is seen to stand still."""
        self.locked = False
        """The chain's emergency control refuses user transactions, as last looked up."""
        self._clock = clock
        self._head = -1
        self._head_at = clock.monotonic()
        self._refused_until = float("-inf")

    def reached(self, head: int) -> None:
        """This is the agreed head now."""
        if head > self._head:
            self._head, self._head_at = head, self._clock.monotonic()

    def refused(self, *, locked: bool) -> None:
        """What became of a transaction that was sent: enough operators refused it for a lockdown, or one took it."""
        self._refused_until = self._clock.monotonic() + REFUSED_SECONDS if locked else float("-inf")

    @property
    def words(self) -> str | None:
        """Why it stands still; None while it moves."""
        now = self._clock.monotonic()
        if self.locked or now < self._refused_until:
            return "the chain refuses user transactions (lockdown)"
        if now - self._head_at > STALL_AFTER:
            return f"no new block for {now - self._head_at:.0f} s"
        return None
