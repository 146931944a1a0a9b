"""`onramp work --only outbox,webhooks` in its own process, whose wall clock is wrong by a number of seconds."""

import sys
from datetime import UTC, datetime, timedelta

from kit.clock import SystemClock
from onramp.cli import main

_OFFSET = timedelta(seconds=float(sys.argv[1]))


def _now(_clock: SystemClock) -> datetime:
    return datetime.now(UTC) + _OFFSET


SystemClock.now = _now  # type: ignore[assignment, method-assign] # the clock of all parts of the process
sys.argv = ["onramp", "work", "--only", "outbox,webhooks"]
main()
