"""Subscribe to topics of the outbox, and read and delete its changes, inside the caller's transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.inserts import insert_or_ignore
from kit.db.types import Uint256, UtcDateTime
from kit.outbox.table import change_consumers, changes

_WAITING = changes.c.parked_at.is_(None)
_ANY = sa.select(changes.c.id).where(_WAITING).limit(1)
_BACKLOG = sa.select(sa.func.count(), sa.func.min(changes.c.at, type_=UtcDateTime())).where(_WAITING)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a watched row. `old` has the columns that events are derived from, and is None for a new row; `new` the whole row."""

    id: int
    topic: str
    """session, payout, sweep, pause, policy or key."""
    subject: str
    """The id of the row."""
    at: datetime
    old: Mapping[str, Any] | None
    new: Mapping[str, Any]


async def subscribe(conn: AsyncConnection, consumer: str, topics: Collection[str]) -> None:
    """Store changes of exactly these topics for `consumer` from the end of this transaction on; of none if `topics` is empty."""
    c = change_consumers.c
    await conn.execute(sa.delete(change_consumers).where(c.consumer == consumer, c.topic.not_in(sorted(topics))))
    if topics:
        rows = [{"id": f"{consumer}/{topic}", "consumer": consumer, "topic": topic} for topic in sorted(topics)]
        await insert_or_ignore(conn, change_consumers, rows)


async def topics_of(conn: AsyncConnection) -> dict[str, set[str]]:
    """Return the topics of each consumer that has any, by its name."""
    topics: dict[str, set[str]] = {}
    for row in await conn.execute(sa.select(change_consumers)):
        topics.setdefault(row.consumer, set()).add(row.topic)
    return topics


async def any_waiting(conn: AsyncConnection) -> bool:
    """Return whether any change waits to be planned."""
    return (await conn.execute(_ANY)).first() is not None


async def take(conn: AsyncConnection, limit: int) -> Sequence[Change]:
    """Delete and return up to `limit` changes, the oldest first. Changes that another transaction has taken are left out."""
    chosen = sa.select(changes.c.id).where(_WAITING).order_by(changes.c.id).limit(limit)
    if conn.dialect.name == "postgresql":
        chosen = chosen.with_for_update(skip_locked=True)
    deletion = sa.delete(changes).where(changes.c.id.in_(chosen)).returning(changes)
    rows = (await conn.execute(deletion)).fetchall()
    return [
        Change(row.id, row.topic, row.subject, row.at, row.old_row, row.new_row)
        for row in sorted(rows, key=lambda row: row.id)
    ]


async def park(conn: AsyncConnection, change_id: int, now: datetime, reason: str) -> None:
    """Park a change that waits: `take` leaves it out until a person has looked at it. Nothing happens if another worker has taken it."""
    await conn.execute(
        sa.update(changes).where(changes.c.id == change_id, _WAITING).values(parked_at=now, parked_reason=reason[:200])
    )


async def backlog(conn: AsyncConnection) -> tuple[int, datetime | None, int]:
    """Return how many changes wait, since when the oldest does, and how many are parked."""
    count, oldest = (await conn.execute(_BACKLOG)).one()
    parked = sa.select(sa.func.count()).select_from(changes).where(changes.c.parked_at.is_not(None))
    return count, oldest, (await conn.execute(parked)).scalar_one()


def read_columns(table: sa.Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a row that a change contains with the types of `table`, as a query would: times aware, amounts as integers.

    Columns that the table does not have are left out.
    """
    return {name: _read(table.c[name].type, value) for name, value in row.items() if name in table.c}


def _read(column: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column, UtcDateTime):
        return datetime.fromisoformat(value)
    if isinstance(column, Uint256):
        return int(value)
    return bool(value) if isinstance(column, sa.Boolean) else value
