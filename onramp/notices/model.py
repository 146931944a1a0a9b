"""A notification to one target."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class NoticeKind(StrEnum):
    """Why a notification is sent."""

    RAISED = "raised"
    """An alarm was raised."""
    REMINDED = "reminded"
    """An alarm is still active, and no person has acknowledged it."""
    CLEARED = "cleared"
    """An alarm has ended."""
    APPROVAL = "approval"
    """Something waits for a second person."""
    TEST = "test"
    """A person tests the target."""


class NoticeStatus(StrEnum):
    """What became of a notification."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"
    """The target refused it for good, or did not take it in time."""
    SUPERSEDED = "superseded"
    """It was not sent, because a later one says more: a reminder about an alarm that has ended."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification to one target."""

    id: str
    kind: NoticeKind
    name: str
    """The alarm's name, or what waits, such as `sweep.awaiting_approval`."""
    subject: str
    session_id: str | None
    alarm_id: str | None
    target: str
    severity: str
    content: Mapping[str, Any]
    """What the message says: see `onramp.notices.content`."""
    status: NoticeStatus
    attempts: int
    error: str | None
    created_at: datetime
    due_at: datetime
    sent_at: datetime | None
