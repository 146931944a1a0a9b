"""Plan notifications from alarms: one when it is raised, reminders while it lasts, one when it ends."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.alarms.service import from_row
from kit.alarms.table import alarms
from kit.notices.targets import Target
from onramp.alarms.advice import definition_of, session_of
from onramp.notices import content
from onramp.notices import service as notices_service
from onramp.notices.model import NoticeKind

BATCH: Final = 100
FIRST_REMINDER: Final = timedelta(hours=6)
REMINDER: Final = timedelta(hours=24)


async def any_due(conn: AsyncConnection, now: datetime) -> bool:
    """Return whether anything is to be planned."""
    return (await conn.execute(sa.select(alarms.c.id).where(alarms.c.announce_at <= now).limit(1))).first() is not None


async def plan_due(conn: AsyncConnection, targets: Sequence[Target], runbook: str, now: datetime) -> int:
    """Plan what is due about up to BATCH alarms, in the caller's transaction. Return how many alarms that were.

    Without targets nothing is planned, and the alarms count as announced.
    """
    query = sa.select(alarms).where(alarms.c.announce_at <= now).order_by(alarms.c.announce_at).limit(BATCH)
    rows = (await conn.execute(query.with_for_update(skip_locked=True))).fetchall()
    for row in rows:
        await _plan(conn, row, targets, runbook, now)
    return len(rows)


async def _plan(conn: AsyncConnection, row: Any, targets: Sequence[Target], runbook: str, now: datetime) -> None:
    alarm, severity = from_row(row), definition_of(row.name).severity
    kinds: list[NoticeKind] = []
    if alarm.announced == 0:
        kinds.append(NoticeKind.RAISED)
    elif alarm.ended_at is None:
        kinds.append(NoticeKind.REMINDED)
    if alarm.ended_at is not None:
        kinds.append(NoticeKind.CLEARED)
        await notices_service.supersede_reminders(conn, alarm.id)
    for kind in kinds:
        await notices_service.plan(
            conn,
            targets,
            f"{alarm.id}/{kind}/{alarm.announced}",
            kind,
            name=alarm.name,
            subject=alarm.subject,
            severity=severity,
            content=content.of_alarm(alarm, runbook),
            now=now,
            alarm_id=alarm.id,
            session_id=session_of(alarm.facts),
        )
    announced = alarm.announced + (alarm.ended_at is None or alarm.announced == 0)
    is_over = alarm.ended_at is not None or alarm.acknowledged_at is not None
    wait = FIRST_REMINDER if announced == 1 else REMINDER
    values = {"announced": announced, "announce_at": None if is_over else now + wait}
    await conn.execute(sa.update(alarms).where(alarms.c.id == alarm.id).values(**values))
