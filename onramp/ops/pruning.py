"""Forget purchases that nobody paid, long after they ended: anybody can begin them, so they must not fill the disk.

What was ever paid, owed, delivered or in need of a person stays for good. A payment that comes after its row is gone is honoured all the
same: Stripe still has the session, whose metadata says what was sold, and the row is made again from it.
"""

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.db.database import Database
from onramp.deliveries.table import transfers
from onramp.sessions.contacts import contacts
from onramp.sessions.status import DeliveryStatus, PaymentStatus
from onramp.sessions.table import sessions
from treasury.payouts.queries import payout_of_session

BATCH: Final = 500
"""Rows of one transaction: some milliseconds, for which a writer on SQLite waits."""
MAX_BATCHES: Final = 200
"""Of one pass; more than all clients together may begin in an hour (RATE_LIMIT_CREATE_TOTAL)."""
ENDED: Final = (PaymentStatus.EXPIRED, PaymentStatus.REJECTED)


async def prune(database: Database, before: datetime, *, by: str, now: datetime) -> int:
    """Delete unpaid sessions that ended before `before`, with their contacts, in small transactions; how many.

    A row of the trail says how many, without naming any.
    """
    count = 0
    for status in ENDED:
        for _ in range(MAX_BATCHES):
            async with database.write() as conn:
                gone = await _prune_batch(conn, status, before)
            count += gone
            if gone < BATCH:
                break
    if count:
        async with database.write() as conn:
            facts = {"sessions": count, "before": before}
            await audit_service.record(conn, by, "sessions.prune", "sessions", None, facts, at=now)
    return count


async def _prune_batch(conn: AsyncConnection, status: str, before: datetime) -> int:
    ids = list((await conn.execute(_due(conn.dialect.name, status, before))).scalars())
    if ids:
        await conn.execute(sa.delete(contacts).where(contacts.c.session_id.in_(ids)))
        await conn.execute(sa.delete(sessions).where(sessions.c.id.in_(ids)))
    return len(ids)


def _due(dialect: str, status: str, before: datetime) -> "sa.Select[Any]":
    """Ids of the next batch, by ix_sessions_payment_asked: Stripe is asked about a session until it ends, so the oldest end comes first."""
    s = sessions.c
    query = (
        sa.select(s.id)
        .where(
            s.payment_status == status, s.asked_at < before, s.expires_at < before, s.payment_updated_at < before,
            s.paid_at.is_(None), s.attention.is_(None), s.delivery_status == DeliveryStatus.AWAITING, s.tx_hash.is_(None),
            ~sa.exists().where(transfers.c.session_id == s.id), ~sa.exists().where(payout_of_session.c.session_id == s.id),
        )
        .order_by(s.asked_at)
        .limit(BATCH)
    )  # fmt: skip
    # A row that is being changed, by a payment that comes late, is left alone.
    return query.with_for_update(of=sessions, skip_locked=True) if dialect == "postgresql" else query
