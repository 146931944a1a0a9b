"""What an alarm is: its definition in a catalogue, and one that was raised."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

Key = tuple[str, str]
"""The name and the subject of an alarm; at most one alarm with a key is active."""


class Severity(StrEnum):
    """How soon a person must look at an alarm. The order is that of `LEVELS`."""

    INFO = "info"
    """Nothing needs to be done."""
    TICKET = "ticket"
    """Within hours, at a time of the person's choice."""
    PAGE = "page"
    """At once, at any time of day."""


LEVELS = (Severity.INFO, Severity.TICKET, Severity.PAGE)
"""The severities, the least urgent first."""


class Ends(StrEnum):
    """How an alarm ends."""

    CONDITION = "condition"
    """It lasts as long as its cause, and code ends it."""
    EVENT = "event"
    """It reports something that happened. A person acknowledges it, or it expires."""


@dataclass(frozen=True, slots=True)
class Definition:
    """An alarm of a catalogue."""

    name: str
    """The name of the log line, such as `delivery.overdue`; a public interface."""
    severity: Severity
    ends: Ends
    sentence: str
    """What happened, as plain sentences."""
    command: str = ""
    """The command to run next; empty if no command helps. `{subject}` stands for the alarm's subject, `{name}` for its fact of that name."""
    action: str = ""
    """What else to do, as plain sentences."""
    anchor: str = "alarms"
    """The section of the runbook that explains more."""
    expires: timedelta | None = None
    """When an event ends that no person acknowledges; None for a condition."""
    per_process: bool = False
    """Whether each process has the condition by itself. Such an alarm names its process, and ends with it."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that was raised. It is active until `ended_at`."""

    id: str
    name: str
    subject: str
    process: str | None
    """The process that has the condition; None if it does not belong to one process."""
    facts: Mapping[str, Any]
    raised_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    ended_at: datetime | None
    ended_by: str | None
    """`cleared`, `expired`, `process_ended`, or the id of the person's key that acknowledged it."""
    announced: int
    """How many notifications were planned that it is active: when it was raised, and reminders."""
