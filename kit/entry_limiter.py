"""Limit the audit and log entries that callers without credentials, or with a viewer's, can cause."""

from collections.abc import Hashable
from typing import Final

from kit.clock import Clock

EVERY_SECONDS: Final = 60.0
"""Seconds between two entries about one subject."""
MAX_ENTRIES: Final = 30
"""The most entries a minute for all subjects together."""
MAX_SUBJECTS: Final = 1024
"""How many subjects the limiter remembers; at this number it forgets all of them."""


class EntryLimiter:
    """Admits one entry a minute for each subject, and a limited number a minute for all subjects. It counts in this process only."""

    def __init__(self, clock: Clock, max_entries: int = MAX_ENTRIES) -> None:
        """Start without entries; at most `max_entries` a minute are admitted for all subjects together."""
        self._clock = clock
        self._max_entries = max_entries
        self._written: dict[Hashable, float] = {}
        self._minute_began = float("-inf")
        self._in_minute = 0
        self._suppressed = 0

    def admit(self, subject: Hashable) -> int | None:
        """Return None if the entry must not be written, else the number of entries suppressed since the last one that was written."""
        moment = self._clock.monotonic()
        if moment - self._minute_began >= EVERY_SECONDS:
            self._minute_began, self._in_minute = moment, 0
        if self._in_minute >= self._max_entries or self._written.get(subject, float("-inf")) > moment - EVERY_SECONDS:
            self._suppressed += 1
            return None
        if len(self._written) >= MAX_SUBJECTS:
            # A caller who keeps changing subjects is limited by the total.
            self._written.clear()
        self._written[subject] = moment
        self._in_minute += 1
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed
