"""Store, lease, finish and prune events of the inbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.bulk import insert_new_autocommit
from kit.db.database import Database
from kit.db.leases import claim, release
from kit.db.paging import Position, newest_first
from kit.db.types import db_now
from onramp.webhooks.table import EventState, inbox

LEASE_SECONDS: Final = 60.0
MAX_TRIES: Final = 12
"""The number of failed attempts after which an event is parked."""
TYPES: Final = frozenset(
    {"crypto.onramp_session.updated", "crypto.onramp_session_updated", "crypto_onramp_session.completed"}
)
"""The event types that concern sessions: Stripe's current name, the one in its older documents, and the one of early drafts."""


class Event(NamedTuple):
    """The stored fields of a verified event."""

    id: str
    type: str
    stripe_session_id: str | None
    session_status: str | None
    body_sha256: str
    created_at: datetime

    @property
    def ignored(self) -> str | None:
        """Why this event is ignored, judged by its own fields; None if it must be handled."""
        if self.type not in TYPES:
            return "another type of event"
        if self.stripe_session_id is None:
            return "no session in it"
        return None


@dataclass(frozen=True, slots=True)
class Claimed:
    """An event that a worker has leased."""

    id: str
    stripe_session_id: str
    tries: int
    received_at: datetime


async def store(database: Database, events: Sequence[Event], received_at: datetime) -> set[str]:
    """Insert new events in one statement and transaction; return the ids of those that were new. Duplicates are skipped."""
    unique: dict[str, tuple[Event, str | None]] = {}
    for event in events:
        unique.setdefault(event.id, (event, event.ignored))
    rows = [
        {
            "id": event.id,
            "type": event.type,
            "stripe_session_id": event.stripe_session_id,
            "session_status": event.session_status,
            "body_sha256": event.body_sha256,
            "created_at": event.created_at,
            "received_at": received_at,
            "state": EventState.IGNORED if ignored else EventState.PENDING,
            "reason": ignored,
            "due_at": received_at,
        }
        for event, ignored in unique.values()
    ]
    return set(await insert_new_autocommit(database, inbox, rows, ["id"]))


async def claim_due(conn: AsyncConnection, owner: str, limit: int) -> list[Claimed]:
    """Lease up to `limit` pending events that are due, oldest first, and return them."""
    due = sa.and_(inbox.c.state == EventState.PENDING, inbox.c.due_at <= db_now())
    rows = await claim(conn, inbox, owner=owner, seconds=LEASE_SECONDS, limit=limit, due=due, order_by=inbox.c.due_at)
    return [Claimed(row.id, row.stripe_session_id, row.tries, row.received_at) for row in rows]


async def finish(
    conn: AsyncConnection, ids: Sequence[str], owner: str, state: EventState, reason: str | None, now: datetime
) -> None:
    """Store the final state of leased events."""
    await conn.execute(
        sa.update(inbox)
        .where(inbox.c.id.in_(list(ids)), inbox.c.lease_owner == owner)
        .values(state=state, reason=reason, handled_at=now, lease_owner=None, lease_until=None)
    )


async def postpone(conn: AsyncConnection, event: Claimed, owner: str, seconds: float, reason: str) -> None:
    """Retry a leased event after `seconds`; after MAX_TRIES park it with the reason, and leave its session to the reconcile worker."""
    if event.tries + 1 >= MAX_TRIES:
        await release(conn, inbox, event.id, owner, state=EventState.PARKED, reason=reason, tries=event.tries + 1)
    else:
        await release(conn, inbox, event.id, owner, due_at=db_now(seconds), reason=reason, tries=event.tries + 1)


async def replay(conn: AsyncConnection, event_id: str) -> bool:
    """Make a stored event pending again; repeating this changes nothing. Return False if the event does not exist or concerns no session."""
    result = await conn.execute(
        sa.update(inbox)
        .where(inbox.c.id == event_id, inbox.c.stripe_session_id.is_not(None), inbox.c.type.in_(TYPES))
        .values(state=EventState.PENDING, reason=None, tries=0, due_at=db_now(), lease_owner=None, lease_until=None)
    )
    return result.rowcount == 1


async def get(conn: AsyncConnection, event_id: str) -> sa.Row[Any] | None:
    """Return one stored event by Stripe's id; None for an unknown id."""
    return (await conn.execute(sa.select(inbox).where(inbox.c.id == event_id))).one_or_none()


async def newest(
    conn: AsyncConnection,
    limit: int,
    state: str | None = None,
    before: Position | None = None,
    event_type: str | None = None,
) -> Sequence[sa.Row[Any]]:
    """Return up to `limit` stored events, newest first: with `state` those in it, with `event_type` those of that type of Stripe's.

    With `before`, those after that position of the list.
    """
    query = newest_first(sa.select(inbox), inbox.c.received_at, inbox.c.id, before).limit(limit)
    if state is not None:
        query = query.where(inbox.c.state == state)
    if event_type is not None:
        query = query.where(inbox.c.type == event_type)
    return (await conn.execute(query)).fetchall()


async def of_session(conn: AsyncConnection, stripe_session_id: str) -> Sequence[sa.Row[Any]]:
    """Return the events of one session, oldest first."""
    statement = sa.select(inbox).where(inbox.c.stripe_session_id == stripe_session_id).order_by(inbox.c.received_at)
    return (await conn.execute(statement)).fetchall()


async def backlog(conn: AsyncConnection) -> tuple[int, datetime | None, int]:
    """Return the number of pending events, when the oldest of them arrived (None without any), and the number of parked events."""
    # The condition uses the index: this runs every second, beside 90 days of handled events.
    statement = sa.select(
        sa.func.count().filter(inbox.c.state == EventState.PENDING).label("pending"),
        sa.func.min(inbox.c.received_at).filter(inbox.c.state == EventState.PENDING).label("oldest"),
        sa.func.count().filter(inbox.c.state == EventState.PARKED).label("parked"),
    ).where(inbox.c.state.in_([EventState.PENDING, EventState.PARKED]))
    row = (await conn.execute(statement)).one()
    return row.pending, row.oldest, row.parked


async def prune(conn: AsyncConnection, before: datetime, limit: int) -> int:
    """Delete at most `limit` handled and ignored events received before `before`; return how many. Stripe does not resend such old events."""
    aged = sa.select(inbox.c.id).where(
        inbox.c.state.in_([EventState.HANDLED, EventState.IGNORED]), inbox.c.received_at < before
    )
    aged = aged.order_by(inbox.c.received_at).limit(limit)
    if conn.dialect.name == "postgresql":
        aged = aged.with_for_update(skip_locked=True)
    return (await conn.execute(sa.delete(inbox).where(inbox.c.id.in_(aged)))).rowcount
