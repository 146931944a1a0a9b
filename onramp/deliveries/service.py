"""The verbs of a delivery, each inside the caller's transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.confirm import ExpectedTransfer
from chain.types import Transfer
from kit.store import insert_or_nothing
from onramp.deliveries.machine import may_follow
from onramp.deliveries.table import transfers
from onramp.sessions import service as sessions_service
from onramp.sessions.model import BASIS_POINTS, Session, from_row
from onramp.sessions.rules import SessionRules
from onramp.sessions.table import sessions
from treasury.payouts.table import payouts

PAID = sessions.c.payment_status == "fulfillment_complete"
OWED = sa.and_(PAID, sessions.c.expected_units.is_not(None))


async def record(connection: AsyncConnection, found: Sequence[Transfer], chain_id: int, now: datetime) -> None:
    """Keep transfers that were seen; one seen again is nothing new."""
    rows = [
        {
            "id": f"{chain_id}:{item.tx_hash}:{item.log_index}",
            "chain_id": chain_id,
            "token": item.token,
            "sender": item.sender,
            "recipient": item.recipient,
            "units": item.amount,
            "tx_hash": item.tx_hash,
            "log_index": item.log_index,
            "block_number": item.block.number,
            "block_hash": item.block.hash,
            "seen_at": now,
        }
        for item in found
    ]
    for start in range(0, len(rows), 500):
        await insert_or_nothing(connection, transfers, rows[start : start + 500], ["id"])


async def claim_observed(connection: AsyncConnection, session: Session, tolerance_bps: int) -> sa.Row[Any] | None:
    """Observe mode: the unclaimed transfer for this session, an exact amount first; each is claimed by one session."""
    expected = session.expected_units or 0
    statement = (
        sa.select(transfers)
        .where(
            transfers.c.session_id.is_(None),
            transfers.c.recipient == session.wallet_address,
            transfers.c.block_number > session.from_block,
        )
        .order_by(transfers.c.block_number, transfers.c.log_index)
        .limit(200)
    )
    rows = (await connection.execute(statement)).fetchall()
    slack = expected * tolerance_bps // BASIS_POINTS
    fitting = [row for row in rows if abs(row.units - expected) <= slack]
    chosen = fitting[0] if fitting else None
    if chosen is None and rows and not await _fits_another(connection, session, rows[0].units, tolerance_bps):
        chosen = rows[0]
    if chosen is None:
        return None
    claimed = await connection.execute(
        sa.update(transfers)
        .where(transfers.c.id == chosen.id, transfers.c.session_id.is_(None))
        .values(session_id=session.id)
    )
    return chosen if claimed.rowcount == 1 else None


async def _fits_another(connection: AsyncConnection, session: Session, units: int, tolerance_bps: int) -> bool:
    statement = sa.select(sessions.c.expected_units).where(
        OWED,
        sessions.c.wallet_address == session.wallet_address,
        sessions.c.id != session.id,
        sessions.c.delivery_status == "awaiting",
    )
    return any(
        abs(row.expected_units - units) <= row.expected_units * tolerance_bps // BASIS_POINTS
        for row in await connection.execute(statement)
    )


async def observable(connection: AsyncConnection, limit: int) -> list[Session]:
    """Observe mode: paid sessions for which an unclaimed transfer to their wallet is there, the first paid first."""
    waiting = sa.exists().where(
        transfers.c.session_id.is_(None),
        transfers.c.recipient == sessions.c.wallet_address,
        transfers.c.block_number > sessions.c.from_block,
    )
    statement = (
        sa.select(sessions)
        .where(OWED, sessions.c.mode == "observe", sessions.c.delivery_status == "awaiting", waiting)
        .order_by(sessions.c.paid_at)
        .limit(limit)
    )
    return [from_row(row) for row in await connection.execute(statement)]


async def sent(connection: AsyncConnection, limit: int) -> list[tuple[Session, str]]:
    """Payout mode: sessions whose payout has left, or left under another hash than known, with that hash."""
    statement = (
        sa.select(sessions, payouts.c.tx_hash.label("payout_hash"))
        .join(payouts, payouts.c.session_id == sessions.c.id)
        .where(
            OWED,
            sessions.c.mode == "payout",
            sessions.c.delivery_status.in_(["awaiting", "seen"]),
            payouts.c.tx_hash.is_not(None),
            payouts.c.status.in_(["broadcast", "mined", "final"]),
            sa.or_(sessions.c.tx_hash.is_(None), sessions.c.tx_hash != payouts.c.tx_hash),
        )
        .limit(limit)
    )
    return [(from_row(row), row.payout_hash) for row in await connection.execute(statement)]


async def to_prove(connection: AsyncConnection, limit: int) -> list[Session]:
    """Deliveries that were seen and are not proved yet, the longest waiting first."""
    statement = (
        sa.select(sessions)
        .where(sessions.c.delivery_status == "seen")
        .order_by(sessions.c.delivery_updated_at)
        .limit(limit)
    )
    return [from_row(row) for row in await connection.execute(statement)]


async def confirmed_since(connection: AsyncConnection, block: int, limit: int) -> list[Session]:
    """Deliveries confirmed in a block above `block`: young enough that the chain could still take them back."""
    statement = (
        sa.select(sessions)
        .where(sessions.c.delivery_status == "confirmed", sessions.c.block_number > block)
        .order_by(sessions.c.block_number.desc())
        .limit(limit)
    )
    return [from_row(row) for row in await connection.execute(statement)]


async def move(connection: AsyncConnection, session: Session, status: str, now: datetime, **values: Any) -> bool:
    """Move a delivery, if the machine allows it and nobody changed the session meanwhile."""
    if session.delivery_status not in may_follow(status):
        return False
    return await sessions_service.change(
        connection, session, now=now, delivery_status=status, delivery_updated_at=now, **values
    )


async def overdue(connection: AsyncConnection, paid_before: datetime, limit: int) -> list[Session]:
    """Paid, not confirmed, and not yet called overdue."""
    statement = (
        sa.select(sessions)
        .where(
            PAID,
            sessions.c.paid_at < paid_before,
            sessions.c.delivery_status != "confirmed",
            sessions.c.overdue.is_(False),
        )
        .limit(limit)
    )
    return [from_row(row) for row in await connection.execute(statement)]


async def waiting_reasons(connection: AsyncConnection, limit: int) -> list[tuple[Session, str | None]]:
    """Payout mode: awaiting sessions whose payout waits for another reason than the one shown."""
    reason = sa.case((payouts.c.status.in_(["held", "awaiting_approval"]), payouts.c.reason), else_=sa.null())
    statement = (
        sa.select(sessions, reason.label("payout_reason"))
        .join(payouts, payouts.c.session_id == sessions.c.id)
        .where(
            OWED,
            sessions.c.delivery_status == "awaiting",
            sa.func.coalesce(sessions.c.delivery_reason, "") != sa.func.coalesce(reason, ""),
        )
        .limit(limit)
    )
    return [(from_row(row), row.payout_reason) for row in await connection.execute(statement)]


def expected_of(session: Session, rules: SessionRules, senders: frozenset[str]) -> ExpectedTransfer:
    """What the chain must show for this session, to the unit."""
    return ExpectedTransfer(
        token=rules.token, recipient=session.wallet_address, amount=session.expected_units or 0, sender=senders
    )


def expected_of_amount(expected: ExpectedTransfer, amount: int) -> ExpectedTransfer:
    """The same expectation with another amount, one that the tolerance allows."""
    return replace(expected, amount=amount)
