"""What is said of those who wait: that it takes long, and what for; each inside the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.rows import update_unchanged
from onramp.deliveries.service import OWED, PAID
from onramp.sessions.model import Session, from_row
from onramp.sessions.table import sessions
from treasury.payouts.table import payouts

# By the two columns of an index: most sessions of a long life are confirmed.
_UNCONFIRMED = sa.and_(PAID, sessions.c.delivery_status.in_(["awaiting", "seen", "mismatch"]))


async def overdue(connection: AsyncConnection, paid_before: datetime, limit: int) -> list[Session]:
    """Paid, not confirmed, and not yet called overdue."""
    statement = (
        sa.select(sessions)
        .where(_UNCONFIRMED, sessions.c.paid_at < paid_before, sessions.c.overdue.is_(False))
        .limit(limit)
    )
    return [from_row(row) for row in await connection.execute(statement)]


async def count_overdue(connection: AsyncConnection) -> int:
    """How many are called overdue now."""
    statement = sa.select(sa.func.count()).where(_UNCONFIRMED, sessions.c.overdue.is_(True))
    return (await connection.execute(statement)).scalar_one()


async def reasons(
    connection: AsyncConnection, limit: int, everyone: str | None = None, awaiting: str | None = None
) -> list[tuple[Session, str | None]]:
    """Sessions that wait for another reason than the one shown.

    Awaiting ones for what holds their payout, else for `awaiting`, else for what keeps their payout in the queue; those seen of
    which nothing is said, for `everyone`.
    """
    held = payouts.c.status.in_(["held", "awaiting_approval"])
    unsent = payouts.c.status.in_(["planned", "approved", "signed"])
    reason = sa.case(
        (sessions.c.delivery_status == "seen", everyone),
        (held, payouts.c.reason),
        else_=sa.case((unsent, payouts.c.reason)) if awaiting is None else sa.literal(awaiting),
    )
    differs = sa.func.coalesce(sessions.c.delivery_reason, "") != sa.func.coalesce(reason, "")
    silent = sa.and_(sessions.c.delivery_status == "seen", sessions.c.delivery_reason.is_(None), differs)
    statement = (
        sa.select(sessions, reason.label("why"))
        .outerjoin(payouts, payouts.c.session_id == sessions.c.id)
        .where(OWED, sa.or_(sa.and_(sessions.c.delivery_status == "awaiting", differs), silent))
        .limit(limit)
    )
    return [(from_row(row), row.why) for row in await connection.execute(statement)]


async def say_why(connection: AsyncConnection, found: Sequence[tuple[Session, str | None]], now: datetime) -> None:
    """Show these reasons, of sessions that are still as they were read."""
    rows = [
        {
            "id": session.id,
            "version": session.version,
            "delivery_reason": reason,
            "delivery_updated_at": now,
            "updated_at": now,
        }
        for session, reason in found
    ]
    await update_unchanged(connection, sessions, rows)
