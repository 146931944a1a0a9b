"""Pages of purchases for operators, filtered by the status that people see, time and wallet."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.paging import Position, newest_first
from kit.db.types import constant
from onramp.sessions.model import Session, from_row
from onramp.sessions.status import DeliveryStatus, PaymentStatus, SessionStatus
from onramp.sessions.table import sessions

_C = sessions.c
_CONFIRMED: Final = _C.delivery_status == constant(DeliveryStatus.CONFIRMED)
_MISMATCH: Final = _C.delivery_status == constant(DeliveryStatus.MISMATCH)
_OPEN: Final = _C.delivery_status.in_([constant(DeliveryStatus.AWAITING), constant(DeliveryStatus.SEEN)])
_NEEDS_ATTENTION: Final = sa.or_(_MISMATCH, _C.overdue, _C.attention.is_not(None))
_PAYMENTS: Final[Mapping[SessionStatus, tuple[PaymentStatus, ...]]] = {
    SessionStatus.AWAITING_PAYMENT: (PaymentStatus.CREATED, PaymentStatus.INITIALIZED, PaymentStatus.REQUIRES_PAYMENT),
    SessionStatus.PROCESSING: (PaymentStatus.FULFILLMENT_PROCESSING,),
    SessionStatus.DELIVERING: (PaymentStatus.FULFILLMENT_COMPLETE,),
    SessionStatus.REJECTED: (PaymentStatus.REJECTED,),
    SessionStatus.EXPIRED: (PaymentStatus.EXPIRED,),
}


def has_status(status: SessionStatus) -> sa.ColumnElement[bool]:
    """Return the condition that a row's purchase has this status, as `onramp.sessions.model.purchase_status` derives it."""
    if status is SessionStatus.COMPLETED:
        return _CONFIRMED
    if status is SessionStatus.ATTENTION:
        return sa.and_(sa.not_(_CONFIRMED), _NEEDS_ATTENTION)
    # Not IN: with one value, SQLite would not see that the index of unconfirmed purchases serves.
    paid = sa.or_(*(_C.payment_status == constant(payment) for payment in _PAYMENTS[status]))
    return sa.and_(sa.not_(_CONFIRMED), _OPEN, sa.not_(_NEEDS_ATTENTION), paid)


async def page(
    conn: AsyncConnection,
    limit: int,
    before: Position | None = None,
    *,
    status: SessionStatus | None = None,
    wallet: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Session]:
    """Return up to `limit` purchases, newest first: of one status or wallet (EIP-55), created from `since` on and before `until`.

    With `before`, those after that position of the list.
    """
    query = newest_first(sa.select(sessions), _C.created_at, _C.id, before).limit(limit)
    if status is not None:
        query = query.where(has_status(status))
    if wallet is not None:
        query = query.where(_C.wallet_address == wallet)
    if since is not None:
        query = query.where(_C.created_at >= since)
    if until is not None:
        query = query.where(_C.created_at < until)
    return [from_row(row) for row in await conn.execute(query)]
