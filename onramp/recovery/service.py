"""Read and write checklists, each operation in the caller's open transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.audit.service import LOCAL_OPERATOR
from kit.audit.table import entries
from kit.db.inserts import insert_or_ignore
from kit.db.types import UtcDateTime
from kit.heartbeats.table import worker_heartbeats
from kit.ids import Ids
from onramp.recovery.model import Recovery, StepDone, StepName
from onramp.recovery.table import recoveries, recovery_steps
from onramp.sessions.table import sessions
from treasury.core.history import history

_TIMES: Final = (entries.c.at, sessions.c.updated_at, history.c.at, worker_heartbeats.c.seen_at)
"""The columns whose newest value says how old a database is."""


async def newest_row(conn: AsyncConnection) -> datetime | None:
    """Return the time of the newest row; None for a database without rows."""
    newest = [await conn.scalar(sa.select(sa.func.max(column, type_=UtcDateTime()))) for column in _TIMES]
    return max((moment for moment in newest if moment is not None), default=None)


async def unfinished(conn: AsyncConnection) -> Recovery | None:
    """Return the checklist that was begun last; None if it is finished or there never was one."""
    newest = await latest(conn)
    return None if newest is None or newest.finished_at is not None else newest


async def latest(conn: AsyncConnection) -> Recovery | None:
    """Return the checklist that was begun last; None if there never was one."""
    query = sa.select(recoveries).order_by(recoveries.c.begun_at.desc(), recoveries.c.id.desc()).limit(1)
    row = (await conn.execute(query)).first()
    return None if row is None else Recovery(row.id, row.begun_at, row.backup_at, row.finished_at)


async def begin(conn: AsyncConnection, *, backup_at: datetime | None, now: datetime, ids: Ids) -> Recovery:
    """Store a new checklist without steps, with its audit entry, and return it. `backup_at` is the time of the newest restored row."""
    recovery = Recovery(ids.new("rcv_"), now, backup_at, None)
    values = {"id": recovery.id, "begun_at": now, "backup_at": backup_at, "finished_at": None}
    await conn.execute(sa.insert(recoveries).values(values))
    await audit_service.record(conn, LOCAL_OPERATOR, "recovery.begin", recovery.id, None, {"status": "begun"}, at=now)
    return recovery


async def steps_done(conn: AsyncConnection, recovery: Recovery) -> dict[StepName, StepDone]:
    """Return the finished steps of a checklist, by name."""
    rows = await conn.execute(sa.select(recovery_steps).where(recovery_steps.c.recovery_id == recovery.id))
    return {StepName(row.name): StepDone(StepName(row.name), row.done_at, row.result) for row in rows}


async def record(
    conn: AsyncConnection, recovery: Recovery, name: StepName, result: Mapping[str, Any], *, now: datetime
) -> None:
    """Record that a step is done, with an audit entry; recording it again changes nothing."""
    row = {"id": f"{recovery.id}/{name}", "recovery_id": recovery.id, "name": name, "done_at": now}
    if await insert_or_ignore(conn, recovery_steps, [{**row, "result": dict(result)}], ["id"]):
        after = {"step": name, **result}
        await audit_service.record(conn, LOCAL_OPERATOR, "recovery.step", recovery.id, None, after, at=now)


async def finish(conn: AsyncConnection, recovery: Recovery, *, now: datetime) -> None:
    """Record that every step of the checklist is done, with an audit entry."""
    await conn.execute(sa.update(recoveries).where(recoveries.c.id == recovery.id).values(finished_at=now))
    await audit_service.record(
        conn, LOCAL_OPERATOR, "recovery.finish", recovery.id, {"status": "begun"}, {"status": "finished"}, at=now
    )
