"""Read and delete notifications, in the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from onramp.notices.model import Notice, NoticeStatus
from onramp.notices.table import notices, to_notice


async def of_session(conn: AsyncConnection, session_id: str) -> Sequence[Notice]:
    """Return the notifications about a purchase, the oldest first."""
    query = sa.select(notices).where(notices.c.session_id == session_id).order_by(notices.c.created_at, notices.c.id)
    return [to_notice(row) for row in await conn.execute(query)]


async def prune(conn: AsyncConnection, /, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` notifications that were planned before a time and do not wait. Return how many were deleted."""
    old = (
        sa.select(notices.c.id)
        .where(notices.c.created_at < before, notices.c.status != NoticeStatus.WAITING)
        .limit(limit)
    )
    return (await conn.execute(sa.delete(notices).where(notices.c.id.in_(old)))).rowcount
