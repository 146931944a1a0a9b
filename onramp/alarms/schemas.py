"""Request and response models of alarms."""

from typing import Any

from pydantic import Field

from kit.alarms.model import Alarm
from kit.clock import rfc3339
from kit.db.paging import Position, encode_position
from kit.http.documents import Document
from kit.http.paging import PositionQuery
from onramp.alarms.advice import RUNBOOK, command_for, definition_of


class AlarmQuery(PositionQuery):
    """The query of a page of alarms."""

    active: bool = Field(default=True, description="Only active alarms, all of them; false: ended ones too, in pages.")


class AlarmResponse(Document):
    """One alarm; `endedAt` is null while it is active."""

    id: str
    name: str
    severity: str
    subject: str
    process: str | None
    sentence: str
    command: str
    runbook: str
    facts: dict[str, Any]
    raised_at: str
    acknowledged_at: str | None
    acknowledged_by: str | None
    ended_at: str | None
    ended_by: str | None


class AlarmPage(Document):
    """A page of alarms: active ones oldest first, all of them newest first."""

    data: list[AlarmResponse]
    next_cursor: str | None


def alarm_response(alarm: Alarm) -> AlarmResponse:
    """Return the response for one alarm."""
    definition = definition_of(alarm.name)
    return AlarmResponse(
        id=alarm.id,
        name=alarm.name,
        severity=definition.severity,
        subject=alarm.subject,
        process=alarm.process,
        sentence=definition.sentence,
        command=command_for(alarm),
        runbook=f"{RUNBOOK}#{definition.anchor}",
        facts=dict(alarm.facts),
        raised_at=rfc3339(alarm.raised_at),
        acknowledged_at=None if alarm.acknowledged_at is None else rfc3339(alarm.acknowledged_at),
        acknowledged_by=alarm.acknowledged_by,
        ended_at=None if alarm.ended_at is None else rfc3339(alarm.ended_at),
        ended_by=alarm.ended_by,
    )


def alarm_page(alarms: list[Alarm], limit: int | None) -> AlarmPage:
    """Return a page of alarms; `alarms` are one more than the page holds (`limit`) if there is a next one. Without `limit` all are shown."""
    shown = alarms[:limit]
    is_last = limit is None or len(alarms) <= limit
    cursor = None if is_last else encode_position(Position(shown[-1].raised_at, shown[-1].id))
    return AlarmPage(data=[alarm_response(alarm) for alarm in shown], next_cursor=cursor)
