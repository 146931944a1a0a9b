"""Store, read and delete where traces begin, inside the caller's transaction."""

from collections.abc import Collection, Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.inserts import insert_or_ignore
from onramp.traces.table import session_traces


async def remember(conn: AsyncConnection, parents: Mapping[str, str], now: datetime) -> None:
    """Store the `traceparent` of each session's creating request; the first one stays."""
    rows = [{"id": session, "traceparent": parent, "created_at": now} for session, parent in parents.items()]
    await insert_or_ignore(conn, session_traces, rows, ("id",))


async def parents_of(conn: AsyncConnection, sessions: Collection[str]) -> dict[str, str]:
    """Return the stored `traceparent` of each of these sessions; those without one are left out."""
    query = sa.select(session_traces).where(session_traces.c.id.in_(sessions))
    return {row.id: row.traceparent for row in await conn.execute(query)}


async def prune(conn: AsyncConnection, before: datetime) -> int:
    """Delete what was stored before a time. Return how many rows."""
    return (await conn.execute(sa.delete(session_traces).where(session_traces.c.created_at < before))).rowcount
