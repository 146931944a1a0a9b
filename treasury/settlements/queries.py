"""Reads of settlements."""

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.paging import Position, newest_first
from kit.http.problems import not_found
from treasury.core.assets import USDC
from treasury.ledger.table import ledger
from treasury.settlements.model import Settlement
from treasury.settlements.states import SettlementStatus
from treasury.settlements.table import settlements, to_settlement

_OPEN: Final = (SettlementStatus.AWAITING, SettlementStatus.SETTLED, SettlementStatus.REVERSING)
_COUNTS: Final = (SettlementStatus.SETTLED, SettlementStatus.REVERSING)
_C = settlements.c


async def require(conn: AsyncConnection, row_id: str) -> Settlement:
    """Return a settlement by its id. Raises Problem `not_found` if there is none."""
    row = (await conn.execute(sa.select(settlements).where(_C.id == row_id))).first()
    if row is None:
        raise not_found("settlement")
    return to_settlement(row)


async def of_transaction(conn: AsyncConnection, tx_hash: str) -> list[Settlement]:
    """Return the claims of one transaction that wait for a person or count as settled, the oldest first."""
    return await select(conn, _C.tx_hash == tx_hash, _C.status.in_(_OPEN))


async def open_issues(conn: AsyncConnection) -> list[Settlement]:
    """Return the settlements that wait for a second person, that the chain has not shown, or that it contradicts."""
    has_issue = sa.or_(
        _C.status.in_([SettlementStatus.AWAITING, SettlementStatus.REVERSING]),
        _C.verified.is_(False),
        _C.contradiction.is_not(None),
    )
    return await select(conn, has_issue, _C.status.in_(_OPEN))


async def for_persons(conn: AsyncConnection) -> list[Settlement]:
    """Return the settlements, and the reversals of settlements, that wait for a second person, oldest first."""
    return await select(conn, _C.status.in_([SettlementStatus.AWAITING, SettlementStatus.REVERSING]))


async def to_verify(conn: AsyncConnection, since: datetime) -> list[Settlement]:
    """Return the settlements created after `since` that count as settled, for another check against the chain."""
    return await select(conn, _C.status.in_(_COUNTS), _C.created_at > since)


async def sessions_of(conn: AsyncConnection, tx_hash: str) -> list[str]:
    """Return the ids of the sessions that a transaction ever cleared."""
    c = ledger.c
    query = sa.select(c.subject).where(c.asset == USDC, c.kind == "settle_usdc", c.note == tx_hash).distinct()
    return list((await conn.execute(query)).scalars())


async def page(conn: AsyncConnection, *, limit: int, status: str | None, before: Position | None) -> list[Settlement]:
    """Return up to `limit` settlements, newest first: with `status` those in it, with `before` those after that position of the list."""
    query = newest_first(sa.select(settlements), _C.created_at, _C.id, before).limit(limit)
    if status is not None:
        query = query.where(_C.status == status)
    return [to_settlement(row) for row in (await conn.execute(query)).fetchall()]


async def totals(conn: AsyncConnection) -> tuple[dict[str, int], int, int]:
    """Return (count of each status, base units of USDC that count and that the chain has not shown, count of contradicted ones)."""
    rows = (await conn.execute(sa.select(_C.status, _C.verified, _C.contradiction, _C.amount))).fetchall()
    counts = dict.fromkeys(SettlementStatus, 0)
    for row in rows:
        counts[SettlementStatus(row.status)] += 1
    counting = [row for row in rows if row.status in _COUNTS]
    unverified = sum(row.amount for row in counting if not row.verified)
    contradicted = sum(bool(row.contradiction) for row in counting)
    return {str(status): count for status, count in counts.items()}, unverified, contradicted


async def select(conn: AsyncConnection, *conditions: sa.ColumnElement[bool]) -> list[Settlement]:
    """Return the settlements that meet all conditions, oldest first."""
    rows = await conn.execute(sa.select(settlements).where(*conditions).order_by(_C.created_at, _C.id))
    return [to_settlement(row) for row in rows.fetchall()]
