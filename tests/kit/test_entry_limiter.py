"""The limit of audit and log entries."""

from kit.entry_limiter import EVERY_SECONDS, EntryLimiter
from tests.support.clocks import ManualClock


def test_each_subject_gets_one_entry_a_minute_and_suppressed_entries_are_counted() -> None:
    clock = ManualClock()
    limiter = EntryLimiter(clock)
    assert [limiter.admit("a"), limiter.admit("a"), limiter.admit("a"), limiter.admit("b")] == [0, None, None, 2]
    clock.advance(EVERY_SECONDS)
    assert limiter.admit("a") == 0


def test_all_subjects_together_have_a_limit_a_minute() -> None:
    clock = ManualClock()
    limiter = EntryLimiter(clock, max_entries=3)
    assert sum(limiter.admit(number) is not None for number in range(10)) == 3
    clock.advance(EVERY_SECONDS)
    assert limiter.admit("next") == 7
