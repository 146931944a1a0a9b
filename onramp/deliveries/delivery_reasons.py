"""What is said of those who wait: that it takes long, and what for; each inside the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.bulk import update_unchanged
from onramp.deliveries.service import OWED, UNCONFIRMED
from onramp.sessions.model import Session, from_row
from onramp.sessions.table import sessions
from treasury.core.reasons import Reason
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
"""What a buyer reads as `delivery.reason` for each reason of a payout; null for any other. What operators look into, such as a
contradiction by Stripe, is a wait for people to a buyer; what stops all payouts is a pause."""
_UNCONFIRMED = sa.and_(UNCONFIRMED, sessions.c.delivery_status.in_(["awaiting", "seen", "mismatch"]))


async def overdue(conn: AsyncConnection, paid_before: datetime, limit: int) -> list[Session]:
    """Paid, not confirmed, and not yet called overdue."""
    statement = (
        sa.select(sessions)
        .where(_UNCONFIRMED, sessions.c.paid_at < paid_before, sessions.c.overdue.is_(False))
        .limit(limit)
    )
    return [from_row(row) for row in await conn.execute(statement)]


async def count_overdue(conn: AsyncConnection) -> int:
    """How many are called overdue now."""
    statement = sa.select(sa.func.count()).where(_UNCONFIRMED, sessions.c.overdue.is_(True))
    return (await conn.execute(statement)).scalar_one()


async def reasons(
    conn: AsyncConnection, limit: int, everyone: str | None = None, awaiting: str | None = None
) -> list[tuple[Session, str | None]]:
    """Sessions that wait for another reason than the one shown.

    Awaiting ones for what holds their payout, else for `awaiting`, else for what keeps their payout in the queue; those seen of
    which nothing is said, for `everyone`.
    """
    shown = sa.case({str(own): said for own, said in SHOWN.items()}, value=payout_of_session.c.reason)
    held = payout_of_session.c.status.in_(["held", "awaiting_approval"])
    unsent = payout_of_session.c.status.in_(["planned", "approved", "signed"])
    unled = sa.and_(
        payout_of_session.c.status.in_(["planned", "approved"]), is_without_leader(payout_of_session.c.wallet)
    )
    queued = sa.case((unled, SHOWN[Reason.NO_LEADER]), (unsent, shown))
    reason = sa.case(
        (sessions.c.delivery_status == "seen", everyone),
        (held, shown),
        else_=queued if awaiting is None else sa.literal(awaiting),
    )
    differs = sa.func.coalesce(sessions.c.delivery_reason, "") != sa.func.coalesce(reason, "")
    silent = sa.and_(sessions.c.delivery_status == "seen", sessions.c.delivery_reason.is_(None), differs)
    statement = (
        sa.select(sessions, reason.label("why"))
        .outerjoin(payout_of_session, payout_of_session.c.session_id == sessions.c.id)
        .where(
            OWED,
            UNCONFIRMED,
            sessions.c.delivery_status.in_(["awaiting", "seen"]),
            sa.or_(sa.and_(sessions.c.delivery_status == "awaiting", differs), silent),
        )
        .limit(limit)
    )
    return [(from_row(row), row.why) for row in await conn.execute(statement)]


async def say_why(conn: AsyncConnection, found: Sequence[tuple[Session, str | None]], now: datetime) -> None:
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
    await update_unchanged(conn, sessions, rows)
