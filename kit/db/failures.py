"""Log failures: an unavailable database in one line, anything else with its traceback."""

from typing import Any

import structlog

from kit.db.database import is_unavailable, reason_of


def log_failure(log: "structlog.stdlib.BoundLogger", event: str, error: Exception, **values: Any) -> None:
    """Log `event` at level error: with the database's reason if the database is unavailable, else with the traceback of `error`.

    While a disk is full, everything fails for the same reason, which needs no traceback for each payout and each event.
    """
    if is_unavailable(error):
        log.error(event, reason=reason_of(error), **values)
    else:
        log.error(event, exc_info=error, **values)
