"""Keep the trail and the log small where somebody without a credential, or with the least of them, can cause their entries."""

from collections.abc import Hashable
from typing import Final

from kit.clock import Clock

EVERY_SECONDS: Final = 60.0
MOST: Final = 30
REMEMBER: Final = 1024


class EntryLimiter:
    """Lets one entry a minute through for each subject, and MOST a minute for all subjects; counts in this process."""

    def __init__(self, clock: Clock, most: int = MOST) -> None:
        """`most`: entries a minute for all subjects together."""
        self._clock = clock
        self._most = most
        self._written: dict[Hashable, float] = {}
        self._began = float("-inf")
        self._in_minute = 0
        self._left_out = 0

    def admit(self, subject: Hashable) -> int | None:
        """How many entries were left out since the last one, where this one is to be written; None where it is left out, too."""
        moment = self._clock.monotonic()
        if moment - self._began >= EVERY_SECONDS:
            self._began, self._in_minute = moment, 0
        if self._in_minute >= self._most or self._written.get(subject, float("-inf")) > moment - EVERY_SECONDS:
            self._left_out += 1
            return None
        if len(self._written) >= REMEMBER:
            # Whoever names ever other subjects is held by the number for all.
            self._written.clear()
        self._written[subject] = moment
        self._in_minute += 1
        left_out, self._left_out = self._left_out, 0
        return left_out
