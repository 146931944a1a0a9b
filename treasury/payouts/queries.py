"""Reads of payouts that other packages need, so that only this package knows the table."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.core import aggregates
from treasury.core.reasons import Reason
from treasury.core.status import IN_FLIGHT, OPEN, Status
from treasury.payouts.model import Payout
from treasury.payouts.table import payouts, to_payout

_C = payouts.c

payout_of_session: Final = sa.select(
    _C.session_id, _C.wallet, _C.status, _C.reason, _C.tx_hash, _C.created_at
).subquery("payout_of_session")
"""The query of at most one row for each session, for the SQL of packages that join purchases with their payouts."""

_BACKLOG: Final = sa.select(sa.func.count(), sa.func.min(_C.created_at)).where(
    aggregates.in_states(payouts, [Status.PLANNED, Status.APPROVED, *IN_FLIGHT])
)


WAITING: Final = (Status.HELD, Status.AWAITING_APPROVAL)
"""The statuses in which a payout waits for a person or for a condition."""
_OLDEST: Final = (
    sa.select(_C.status, sa.func.min(_C.created_at)).where(aggregates.in_states(payouts, WAITING)).group_by(_C.status)
)


async def oldest_waiting(conn: AsyncConnection) -> dict[Status, datetime]:
    """Return for each status in WAITING when its oldest payout was created; a status without payouts is left out."""
    return {Status(row[0]): row[1] for row in await conn.execute(_OLDEST)}


async def backlog(conn: AsyncConnection) -> tuple[int, datetime | None]:
    """Return how many payouts the sender still has to carry out, and when the oldest of them was created; (0, None) if there are none."""
    count, oldest = (await conn.execute(_BACKLOG)).one()
    return count, oldest


async def count_open_in_other_tokens(conn: AsyncConnection, token: str) -> dict[str, int]:
    """Return how many open payouts are owed in each token other than `token`."""
    query = (
        sa.select(_C.token, sa.func.count())
        .where(aggregates.in_states(payouts, OPEN), _C.token != token)
        .group_by(_C.token)
    )
    return {row[0]: row[1] for row in await conn.execute(query)}


async def paid_to_recipients(conn: AsyncConnection, queue: Sequence[Payout], since: datetime) -> dict[str, int]:
    """Return, for each recipient in `queue`, the base units of its other payouts created after `since` that have a nonce and did not fail."""
    query = sa.select(_C.to_address, _C.amount).where(
        _C.to_address.in_({payout.to for payout in queue}),
        _C.id.not_in([payout.id for payout in queue]),
        _C.transaction_id.is_not(None),
        _C.status.not_in([Status.REJECTED, Status.CANCELLED, Status.REVERTED]),
        _C.created_at > since,
    )
    totals: dict[str, int] = {}
    for row in await conn.execute(query):
        totals[row.to_address] = totals.get(row.to_address, 0) + row.amount
    return totals


async def rows_to_recipient(conn: AsyncConnection, recipient: str) -> list[dict[str, Any]]:
    """Return every payout to a recipient (EIP-55) as it is stored, keyed by column name."""
    rows = await conn.execute(sa.select(payouts).where(_C.to_address == recipient))
    return [dict(row._mapping) for row in rows]


_FOR_PERSONS: Final = sa.or_(
    aggregates.in_states(payouts, [Status.AWAITING_APPROVAL, Status.REJECTED, Status.REVERTED]),
    sa.and_(aggregates.in_states(payouts, [Status.HELD]), _C.reason == Reason.SCREENING),
)


async def for_persons(conn: AsyncConnection, limit: int) -> list[Payout]:
    """Return up to `limit` payouts that a person must decide about, the oldest first: above a limit, held for screening, or failed."""
    query = sa.select(payouts).where(_FOR_PERSONS).order_by(_C.created_at, _C.id).limit(limit)
    return [to_payout(row) for row in await conn.execute(query)]
