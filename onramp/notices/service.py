"""Plan, claim and finish notifications, in the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.db import leases
from kit.db.inserts import insert_or_ignore
from kit.db.paging import Position, newest_first
from kit.ids import RandomIds
from kit.notices.targets import Target
from onramp.notices.model import Notice, NoticeKind, NoticeStatus
from onramp.notices.table import notices, to_notice

ACTOR: Final = "notices"
LEASE_SECONDS: Final = 90.0
"""How long a process may take to send what it claimed; longer than any attempt of one target."""
_MAX_ERROR: Final = 300
_new_id: Final = RandomIds().new
_WAITING: Final = notices.c.status == sa.literal_column("'waiting'")


async def plan(
    conn: AsyncConnection,
    targets: Sequence[Target],
    key: str,
    kind: NoticeKind,
    *,
    name: str,
    subject: str,
    severity: str,
    content: Mapping[str, Any],
    now: datetime,
    alarm_id: str | None = None,
    session_id: str | None = None,
) -> None:
    """Plan a notification to each target that wants its severity. `key` says what is notified: it is planned once for each target."""
    rows = [
        {
            "id": _new_id("ntc_"),
            "plan_key": f"{key}/{target.name}",
            "kind": kind,
            "name": name,
            "subject": subject,
            "session_id": session_id,
            "alarm_id": alarm_id,
            "target": target.name,
            "severity": severity,
            "content": content,
            "status": NoticeStatus.WAITING,
            "created_at": now,
            "due_at": now,
        }
        for target in targets
        if target.wants(severity)
    ]
    for row in rows:
        await insert_or_ignore(conn, notices, [row])


async def supersede_reminders(conn: AsyncConnection, alarm_id: str) -> None:
    """Drop reminders that wait, about an alarm that has ended."""
    await conn.execute(
        sa.update(notices)
        .where(_WAITING, notices.c.alarm_id == alarm_id, notices.c.kind == NoticeKind.REMINDED)
        .values(status=NoticeStatus.SUPERSEDED)
    )


async def claim(conn: AsyncConnection, target: str, owner: str, now: datetime, limit: int) -> list[Notice]:
    """Lease up to `limit` due notifications to a target and return them, the oldest first."""
    due = sa.and_(_WAITING, notices.c.target == target, notices.c.due_at <= now)
    rows = await leases.claim(
        conn, notices, owner=owner, seconds=LEASE_SECONDS, limit=limit, due=due, order_by=notices.c.created_at
    )
    return sorted((to_notice(row) for row in rows), key=lambda notice: (notice.created_at, notice.id))


async def waiting_targets(conn: AsyncConnection, now: datetime) -> set[str]:
    """Return the names of the targets to which something is due."""
    query = sa.select(notices.c.target).where(_WAITING, notices.c.due_at <= now).distinct()
    return set((await conn.execute(query)).scalars())


async def messages_since(conn: AsyncConnection, target: str, since: datetime) -> int:
    """Return how many messages a target took since a time; the notifications of a digest are one."""
    query = sa.select(sa.func.count()).where(
        notices.c.target == target,
        notices.c.sent_at > since,
        notices.c.created_at > since - timedelta(days=2),
        sa.or_(notices.c.digest_of.is_(None), notices.c.digest_of > 0),
    )
    return int((await conn.execute(query)).scalar_one())


async def finish_sent(conn: AsyncConnection, sent: Sequence[Notice], owner: str, now: datetime) -> None:
    """Record that one message with these notifications was taken, and write it into the audit trail."""
    for index, notice in enumerate(sent):
        digest_of = None if len(sent) == 1 else len(sent) if index == 0 else 0
        values: dict[str, Any] = {
            "status": NoticeStatus.SENT,
            "sent_at": now,
            "attempts": notice.attempts + 1,
            "error": None,
            "digest_of": digest_of,
        }
        if await leases.release(conn, notices, notice.id, owner, **values):
            await _record(conn, "notice.sent", notice, now, {"digest": len(sent) > 1})


async def postpone(conn: AsyncConnection, notice: Notice, owner: str, due: datetime, error: str | None) -> None:
    """Release a notification for a later attempt; `error` says why the attempt failed, None that there was none."""
    values: dict[str, Any] = {"due_at": due}
    if error is not None:
        values |= {"attempts": notice.attempts + 1, "error": error[:_MAX_ERROR]}
    await leases.release(conn, notices, notice.id, owner, **values)


async def give_up(conn: AsyncConnection, notice: Notice, owner: str, now: datetime, error: str) -> None:
    """Give a notification up, with an entry in the audit trail."""
    values: dict[str, Any] = {"attempts": notice.attempts + 1, "error": error[:_MAX_ERROR]}
    if await leases.release(conn, notices, notice.id, owner, status=NoticeStatus.GIVEN_UP, **values):
        await _record(conn, "notice.given_up", notice, now, {"reason": error[:_MAX_ERROR]})


async def _record(conn: AsyncConnection, action: str, notice: Notice, now: datetime, facts: Mapping[str, Any]) -> None:
    after = {"target": notice.target, "kind": notice.kind, "name": notice.name, "subject": notice.subject}
    await audit_service.record(conn, ACTOR, action, notice.id, None, {**after, **facts}, at=now)


async def of_session(conn: AsyncConnection, session_id: str) -> Sequence[Notice]:
    """Return the notifications about a purchase, the oldest first."""
    query = sa.select(notices).where(notices.c.session_id == session_id).order_by(notices.c.created_at, notices.c.id)
    return [to_notice(row) for row in await conn.execute(query)]


async def newest(
    conn: AsyncConnection, limit: int, before: Position | None = None, *, status: NoticeStatus | None = None
) -> list[Notice]:
    """Return up to `limit` notifications, newest first: with `status` those in it, with `before` those after that position of the list."""
    query = newest_first(sa.select(notices), notices.c.created_at, notices.c.id, before).limit(limit)
    if status is not None:
        query = query.where(notices.c.status == status)
    return [to_notice(row) for row in await conn.execute(query)]


async def prune(conn: AsyncConnection, /, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` notifications that were planned before a time and do not wait. Return how many were deleted."""
    old = (
        sa.select(notices.c.id)
        .where(notices.c.created_at < before, notices.c.status != NoticeStatus.WAITING)
        .limit(limit)
    )
    return (await conn.execute(sa.delete(notices).where(notices.c.id.in_(old)))).rowcount
