"""Settlements as they are asked for; everything here only reads."""

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.http.problems import not_found
from treasury.core.assets import USDC
from treasury.ledger.table import ledger
from treasury.settlements.states import SettlementStatus
from treasury.settlements.table import Settlement, settlements, to_settlement

_OPEN: Final = (SettlementStatus.AWAITING, SettlementStatus.SETTLED, SettlementStatus.REVERSING)
_COUNTS: Final = (SettlementStatus.SETTLED, SettlementStatus.REVERSING)
_C = settlements.c


async def require(conn: AsyncConnection, row_id: str) -> Settlement:
    """One of them. Raises Problem `not_found`."""
    row = (await conn.execute(sa.select(settlements).where(_C.id == row_id))).first()
    if row is None:
        raise not_found("settlement")
    return to_settlement(row)


async def of_transaction(conn: AsyncConnection, tx_hash: str) -> list[Settlement]:
    """The claims of one transaction that wait or count, the oldest first."""
    return await select(conn, _C.tx_hash == tx_hash, _C.status.in_(_OPEN))


async def to_look_at(conn: AsyncConnection) -> list[Settlement]:
    """Those that wait for a second person, that the chain has not shown, or that it contradicts."""
    odd = sa.or_(
        _C.status.in_([SettlementStatus.AWAITING, SettlementStatus.REVERSING]),
        _C.verified.is_(False),
        _C.contradiction.is_not(None),
    )
    return await select(conn, odd, _C.status.in_(_OPEN))


async def to_verify(conn: AsyncConnection, since: datetime) -> list[Settlement]:
    """Those that count and are worth another look at the chain: made after `since`."""
    return await select(conn, _C.status.in_(_COUNTS), _C.created_at > since)


async def sessions_of(conn: AsyncConnection, tx_hash: str) -> list[str]:
    """The sessions that the transaction ever cleared."""
    c = ledger.c
    query = sa.select(c.subject).where(c.asset == USDC, c.kind == "settle_usdc", c.note == tx_hash).distinct()
    return list((await conn.execute(query)).scalars())


async def page(
    conn: AsyncConnection, *, limit: int, status: str | None, before: tuple[datetime, str] | None
) -> list[Settlement]:
    """The newest first; `before`: when the last one seen was made, and its id."""
    query = sa.select(settlements).order_by(_C.created_at.desc(), _C.id.desc()).limit(limit)
    if before is not None:
        at, last = before
        query = query.where(sa.or_(_C.created_at < at, sa.and_(_C.created_at == at, _C.id < last)))
    if status is not None:
        query = query.where(_C.status == status)
    return [to_settlement(row) for row in (await conn.execute(query)).fetchall()]


async def totals(conn: AsyncConnection) -> tuple[dict[str, int], int, int]:
    """(how many in each state, base units of USDC that count and the chain has not shown, how many it contradicts)."""
    rows = (await conn.execute(sa.select(_C.status, _C.verified, _C.contradiction, _C.amount))).fetchall()
    states = dict.fromkeys(SettlementStatus, 0)
    for row in rows:
        states[SettlementStatus(row.status)] += 1
    counting = [row for row in rows if row.status in _COUNTS]
    unseen = sum(row.amount for row in counting if not row.verified)
    return {str(state): count for state, count in states.items()}, unseen, sum(bool(r.contradiction) for r in counting)


async def select(conn: AsyncConnection, *conditions: sa.ColumnElement[bool]) -> list[Settlement]:
    """Those of which all of this holds, oldest first."""
    rows = await conn.execute(sa.select(settlements).where(*conditions).order_by(_C.created_at, _C.id))
    return [to_settlement(row) for row in rows.fetchall()]
