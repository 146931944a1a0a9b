"""Delete unpaid purchases long after they ended: anybody can start one, so they must not fill the disk.

A purchase that was ever paid, owed, delivered or in need of a person is never deleted. A payment that arrives after its row was deleted
still leads to a payout: Stripe keeps the session, whose metadata says what was sold, and the row is rebuilt from it.
"""

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.db.database import Database
from onramp.buyer_mail.table import buyer_mails
from onramp.deliveries.table import transfers
from onramp.sessions.contacts import contacts
from onramp.sessions.status import DeliveryStatus, PaymentStatus
from onramp.sessions.table import sessions
from treasury.payouts.queries import payout_of_session

BATCH: Final = 500
"""How many rows are deleted in one transaction: it takes a few milliseconds, during which other writers on SQLite wait."""
MAX_BATCHES: Final = 200
"""The most batches per run: more purchases than all clients together may start in an hour (RATE_LIMIT_CREATE_TOTAL)."""
ENDED: Final = (PaymentStatus.EXPIRED, PaymentStatus.REJECTED)


async def prune(database: Database, before: datetime, *, by: str, now: datetime) -> int:
    """Delete unpaid sessions that ended before `before`, with their contacts and mails, in small transactions. Return how many.

    One row of the audit log records how many were deleted, without naming any.
    """
    count = 0
    for status in ENDED:
        for _ in range(MAX_BATCHES):
            async with database.write() as conn:
                deleted = await _prune_batch(conn, status, before)
            count += deleted
            if deleted < BATCH:
                break
    if count:
        async with database.write() as conn:
            facts = {"sessions": count, "before": before}
            await audit_service.record(conn, by, "sessions.prune", "sessions", None, facts, at=now)
    return count


async def _prune_batch(conn: AsyncConnection, status: str, before: datetime) -> int:
    ids = list((await conn.execute(_due(conn.dialect.name, status, before))).scalars())
    if ids:
        await conn.execute(sa.delete(buyer_mails).where(buyer_mails.c.session_id.in_(ids)))
        await conn.execute(sa.delete(contacts).where(contacts.c.session_id.in_(ids)))
        await conn.execute(sa.delete(sessions).where(sessions.c.id.in_(ids)))
    return len(ids)


def _due(dialect: str, status: str, before: datetime) -> "sa.Select[Any]":
    """Return the query of the ids of the next batch, which uses ix_sessions_payment_asked.

    Stripe is asked about a session until it ends, so the session that ended first comes first.
    """
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
    # Rows that are being changed, for example by a late payment, are skipped.
    return query.with_for_update(of=sessions, skip_locked=True) if dialect == "postgresql" else query
