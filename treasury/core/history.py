"""The history of every payout, sweep, transaction, policy version and pause: one entry for each change, never changed or deleted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.bulk import insert_new
from kit.db.database import metadata
from kit.db.types import UtcDateTime

BY: Final = "treasury"
"""The author of changes that no person ordered, as the history records it."""

history = sa.Table(
    "treasury_history",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("subject_id", sa.String(80), nullable=False, index=True),
    sa.Column("at", UtcDateTime(), nullable=False),
    sa.Column("from_status", sa.String(32)),
    sa.Column("to_status", sa.String(32), nullable=False),
    sa.Column("actor", sa.String(64), nullable=False),
    sa.Column("note", sa.Text(), nullable=False, server_default=""),
)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One change of a status. `from_status` is None for the first entry; `by` is a worker's name or the id of an API key."""

    at: datetime
    from_status: str | None
    to_status: str
    by: str
    note: str


_INSERT = sa.insert(history)


async def record(
    conn: AsyncConnection,
    subject_id: str,
    *,
    at: datetime,
    from_status: str | None,
    to_status: str,
    by: str,
    note: str = "",
) -> None:
    """Write one history entry, in the database transaction that makes the change."""
    values = {
        "subject_id": subject_id,
        "at": at,
        "from_status": from_status,
        "to_status": to_status,
        "actor": by,
        "note": note,
    }
    await conn.execute(_INSERT, values)


@dataclass(frozen=True, slots=True)
class Line:
    """One of the history entries that `record_all` writes together."""

    subject_id: str
    from_status: str | None
    to_status: str
    note: str


async def record_all(conn: AsyncConnection, lines: Sequence[Line], *, at: datetime, by: str) -> None:
    """Write many entries of one moment and author in one statement."""
    if lines:
        rows = [
            {
                "subject_id": line.subject_id,
                "at": at,
                "from_status": line.from_status,
                "to_status": line.to_status,
                "actor": by,
                "note": line.note,
            }
            for line in lines
        ]
        await insert_new(conn, history, rows)


async def of(conn: AsyncConnection, subject_id: str) -> list[HistoryEntry]:
    """Return the entries of one subject, oldest first."""
    rows = await conn.execute(sa.select(history).where(history.c.subject_id == subject_id).order_by(history.c.id))
    return [_entry(row) for row in rows.mappings()]


async def of_many(conn: AsyncConnection, subject_ids: Collection[str]) -> dict[str, list[HistoryEntry]]:
    """Return the entries of several subjects in one query, oldest first; each subject has a list, which may be empty."""
    entries: dict[str, list[HistoryEntry]] = {subject: [] for subject in subject_ids}
    query = sa.select(history).where(history.c.subject_id.in_(list(entries))).order_by(history.c.id)
    for row in (await conn.execute(query)).mappings():
        entries[row["subject_id"]].append(_entry(row))
    return entries


def _entry(row: sa.RowMapping) -> HistoryEntry:
    return HistoryEntry(row["at"], row["from_status"], row["to_status"], row["actor"], row["note"])
