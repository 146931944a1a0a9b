"""Store, end and read alarms, in the caller's transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.alarms.model import Alarm, Definition, Ends, Key
from kit.alarms.table import alarms
from kit.db.inserts import insert_or_ignore
from kit.ids import RandomIds
from kit.logs import get_logger, redact

log = get_logger(__name__)
MAX_SUBJECT: Final = 200
PROCESS_GONE_SECONDS: Final = 60.0
"""The age of a process's newest heartbeat, and of its alarm, from which the alarm ends; several times the age from which it counts as gone."""
_ACTIVE: Final = alarms.c.ended_at.is_(None)
_new_id: Final = RandomIds().new


async def raise_in(conn: AsyncConnection, name: str, subject: str, at: datetime, /, **facts: Any) -> bool:
    """Raise an alarm in the transaction that makes the change which it reports; nothing happens if it is active already.

    Return whether it is new; then it is also logged. A transaction that is rolled back and repeated logs it again.
    """
    is_new = await insert(conn, name, subject, at, facts)
    if is_new:
        log.critical(name, subject=subject, **facts)
    return is_new


async def raise_again_in(conn: AsyncConnection, name: str, subject: str, at: datetime, /, **facts: Any) -> None:
    """Raise an alarm about another occurrence: one that is active about the same subject ends, and this one is logged and announced, too."""
    await clear(conn, [(name, subject)], at)
    await raise_in(conn, name, subject, at, **facts)


async def insert(
    conn: AsyncConnection, name: str, subject: str, at: datetime, facts: Mapping[str, Any], process: str | None = None
) -> bool:
    """Store an alarm without logging it. Return whether it is new."""
    row = {
        "id": _new_id("alm_"),
        "name": name,
        "subject": subject[:MAX_SUBJECT],
        "process": process,
        "facts": _stored(facts),
        "raised_at": at,
        "announce_at": at,
    }
    return bool(await insert_or_ignore(conn, alarms, [row]))


async def end(
    conn: AsyncConnection, where: sa.ColumnElement[bool], at: datetime, by: str = "cleared"
) -> Sequence[Alarm]:
    """End the active alarms that a condition selects, and return them."""
    values = {"ended_at": at, "ended_by": by, "announce_at": at}
    result = await conn.execute(sa.update(alarms).where(_ACTIVE, where).values(**values).returning(alarms))
    return [from_row(row) for row in result]


async def clear(conn: AsyncConnection, keys: Collection[Key], at: datetime) -> Sequence[Alarm]:
    """End the active alarms with these names and subjects, and return them."""
    return await end(conn, sa.tuple_(alarms.c.name, alarms.c.subject).in_(list(keys)), at) if keys else []


async def acknowledge(
    conn: AsyncConnection, alarm_id: str, catalog: Mapping[str, Definition], by: str, at: datetime
) -> Alarm | None:
    """Record that a person knows of an active alarm, and return it; None if it is not active.

    An event ends. A condition stays active until its cause ends, and no more reminders are sent about it.
    """
    query = sa.select(alarms).where(_ACTIVE, alarms.c.id == alarm_id)
    row = (await conn.execute(query.with_for_update())).first()
    if row is None:
        return None
    definition = catalog.get(row.name)
    is_event = definition is None or definition.ends is Ends.EVENT
    values: dict[str, Any] = {"acknowledged_at": at, "acknowledged_by": by}
    if is_event:
        values |= {"ended_at": at, "ended_by": by, "announce_at": at}
    elif row.announced:
        values |= {"announce_at": None}
    await conn.execute(sa.update(alarms).where(alarms.c.id == alarm_id).values(**values))
    return from_row((await conn.execute(sa.select(alarms).where(alarms.c.id == alarm_id))).one())


async def end_expired(
    conn: AsyncConnection, catalog: Iterable[Definition], active: Sequence[Alarm], now: datetime
) -> Sequence[Alarm]:
    """End the events among the `active` alarms whose time in the catalogue is over, and return them."""
    limits = {definition.name: definition.expires for definition in catalog if definition.expires is not None}
    ids = [alarm.id for alarm in active if alarm.name in limits and now - alarm.raised_at >= limits[alarm.name]]
    return await end(conn, alarms.c.id.in_(ids), now, "expired") if ids else []


async def end_of_processes(
    conn: AsyncConnection, active: Sequence[Alarm], alive: Collection[str], now: datetime
) -> Sequence[Alarm]:
    """End the `active` alarms of processes that are not `alive`, and return them. A new alarm's process may not have sent a heartbeat yet."""
    ids = [
        alarm.id
        for alarm in active
        if alarm.process is not None
        and alarm.process not in alive
        and (now - alarm.raised_at).total_seconds() >= PROCESS_GONE_SECONDS
    ]
    return await end(conn, alarms.c.id.in_(ids), now, "process_ended") if ids else []


async def list_active(conn: AsyncConnection) -> list[Alarm]:
    """Return all active alarms, the oldest first."""
    query = sa.select(alarms).where(_ACTIVE).order_by(alarms.c.raised_at, alarms.c.id)
    return [from_row(row) for row in await conn.execute(query)]


async def active_keys(conn: AsyncConnection) -> dict[Key, datetime]:
    """Return name and subject of each active alarm, with the time at which it was raised."""
    query = sa.select(alarms.c.name, alarms.c.subject, alarms.c.raised_at).where(_ACTIVE)
    return {(row.name, row.subject): row.raised_at for row in await conn.execute(query)}


async def page(conn: AsyncConnection, *, limit: int, before: tuple[datetime, str] | None = None) -> list[Alarm]:
    """Return up to `limit` alarms, ended ones included, the newest first; with `before` (time and id) those older than that one."""
    query = sa.select(alarms).order_by(alarms.c.raised_at.desc(), alarms.c.id.desc()).limit(limit)
    if before is not None:
        moment, alarm_id = before
        same = sa.and_(alarms.c.raised_at == moment, alarms.c.id < alarm_id)
        query = query.where(sa.or_(alarms.c.raised_at < moment, same))
    return [from_row(row) for row in await conn.execute(query)]


async def get(conn: AsyncConnection, alarm_id: str) -> Alarm | None:
    """Return an alarm by its id."""
    row = (await conn.execute(sa.select(alarms).where(alarms.c.id == alarm_id))).first()
    return None if row is None else from_row(row)


async def of_subjects(conn: AsyncConnection, subjects: Collection[str]) -> list[Alarm]:
    """Return the alarms about these subjects, ended ones included, the oldest first."""
    query = sa.select(alarms).where(alarms.c.subject.in_(subjects)).order_by(alarms.c.raised_at, alarms.c.id)
    return [from_row(row) for row in await conn.execute(query)]


async def prune(conn: AsyncConnection, /, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` alarms that ended before a time. Return how many were deleted."""
    old = sa.select(alarms.c.id).where(alarms.c.ended_at < before, alarms.c.announce_at.is_(None)).limit(limit)
    return (await conn.execute(sa.delete(alarms).where(alarms.c.id.in_(old)))).rowcount


def from_row(row: Any) -> Alarm:
    """Return a database row as an `Alarm`."""
    return Alarm(
        row.id,
        row.name,
        row.subject,
        row.process,
        row.facts,
        row.raised_at,
        row.acknowledged_at,
        row.acknowledged_by,
        row.ended_at,
        row.ended_by,
        row.announced,
    )


def _stored(value: Any) -> Any:
    """Return facts as JSON stores them: texts without secrets, and integers that other readers would round as text."""
    if isinstance(value, Mapping):
        return {str(name): _stored(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_stored(item) for item in value]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    return redact(str(value))
