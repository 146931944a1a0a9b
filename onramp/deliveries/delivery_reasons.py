"""Store which deliveries are overdue and why deliveries wait, inside the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.bulk import update_unchanged
from onramp.deliveries.service import OWED, UNCONFIRMED
from onramp.sessions.model import Session, from_row
from onramp.sessions.status import DeliveryStatus
from onramp.sessions.table import sessions
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.payouts.queries import payout_of_session
from treasury.payouts.queue import is_without_leader

SHOWN: Final[Mapping[Reason, str]] = {
    Reason.INSUFFICIENT: "insufficient",
    Reason.FEE_CEILING: "payouts_paused",
    Reason.PAYMENT_MISMATCH: "awaiting_approval",
    Reason.RECIPIENT_REFUSED: "awaiting_approval",
    Reason.REFERENCE_SPENT: "awaiting_approval",
    Reason.AWAITING_APPROVAL: "awaiting_approval",
    Reason.PAYOUTS_PAUSED: "payouts_paused",
    Reason.PANIC: "payouts_paused",
    Reason.NOT_PROVED_DEAD: "waiting_for_second_node",
    Reason.SCREENING: "screening",
    Reason.TOKEN_CHANGED: "awaiting_approval",
    Reason.SIGNING_STOPPED: "payouts_paused",
    Reason.SIGNER_UNAVAILABLE: "payouts_paused",
    Reason.PROOF_UNAVAILABLE: "payouts_paused",
    Reason.NO_LEADER: "payouts_paused",
    Reason.WAITING_FOR_SECOND_NODE: "waiting_for_second_node",
    Reason.CHAIN_PAUSED: "chain_paused",
    Reason.REORG: "reorg",
    Reason.MISMATCH: "awaiting_approval",
}
"""The `delivery.reason` that a buyer sees for each reason of a payout; null for any other.

A case that operators investigate, such as a contradiction by Stripe, is shown as `awaiting_approval`; one that stops all payouts as
`payouts_paused`.
"""
_UNCONFIRMED = sa.and_(
    UNCONFIRMED,
    sessions.c.delivery_status.in_([DeliveryStatus.AWAITING, DeliveryStatus.SEEN, DeliveryStatus.MISMATCH]),
)


async def overdue(conn: AsyncConnection, paid_before: datetime, limit: int) -> list[Session]:
    """Return up to `limit` sessions paid before `paid_before` that are not confirmed and not yet marked as overdue."""
    statement = (
        sa.select(sessions)
        .where(_UNCONFIRMED, sessions.c.paid_at < paid_before, sessions.c.overdue.is_(False))
        .limit(limit)
    )
    return [from_row(row) for row in await conn.execute(statement)]


async def count_overdue(conn: AsyncConnection) -> int:
    """Return how many sessions are marked as overdue."""
    statement = sa.select(sa.func.count()).where(_UNCONFIRMED, sessions.c.overdue.is_(True))
    return (await conn.execute(statement)).scalar_one()


async def changed_reasons(
    conn: AsyncConnection, limit: int, seen: str | None = None, awaiting: str | None = None
) -> list[tuple[Session, str | None]]:
    """Return sessions whose reason for waiting differs from the stored one, each with the new reason.

    A session in `awaiting` waits for what holds its payout, else for the reason `awaiting` if it is given, else for what keeps its payout in
    the queue. A session in `seen` without a reason waits for the reason `seen`.
    """
    shown = sa.case({str(reason): text for reason, text in SHOWN.items()}, value=payout_of_session.c.reason)
    held = payout_of_session.c.status.in_([Status.HELD, Status.AWAITING_APPROVAL])
    unsent = payout_of_session.c.status.in_([Status.PLANNED, Status.APPROVED, Status.SIGNED])
    leaderless = sa.and_(
        payout_of_session.c.status.in_([Status.PLANNED, Status.APPROVED]), is_without_leader(payout_of_session.c.wallet)
    )
    queued = sa.case((leaderless, SHOWN[Reason.NO_LEADER]), (unsent, shown))
    reason = sa.case(
        (sessions.c.delivery_status == DeliveryStatus.SEEN, seen),
        (held, shown),
        else_=queued if awaiting is None else sa.literal(awaiting),
    )
    differs = sa.func.coalesce(sessions.c.delivery_reason, "") != sa.func.coalesce(reason, "")
    unexplained = sa.and_(
        sessions.c.delivery_status == DeliveryStatus.SEEN, sessions.c.delivery_reason.is_(None), differs
    )
    statement = (
        sa.select(sessions, reason.label("wait_reason"))
        .outerjoin(payout_of_session, payout_of_session.c.session_id == sessions.c.id)
        .where(
            OWED,
            UNCONFIRMED,
            sessions.c.delivery_status.in_([DeliveryStatus.AWAITING, DeliveryStatus.SEEN]),
            sa.or_(sa.and_(sessions.c.delivery_status == DeliveryStatus.AWAITING, differs), unexplained),
        )
        .limit(limit)
    )
    return [(from_row(row), row.wait_reason) for row in await conn.execute(statement)]


async def set_wait_reasons(conn: AsyncConnection, changes: Sequence[tuple[Session, str | None]], now: datetime) -> None:
    """Store these reasons; a session that changed since it was read is left as it is."""
    rows = [
        {
            "id": session.id,
            "version": session.version,
            "delivery_reason": reason,
            "delivery_updated_at": now,
            "updated_at": now,
        }
        for session, reason in changes
    ]
    await update_unchanged(conn, sessions, rows)
