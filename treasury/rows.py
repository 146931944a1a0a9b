"""What is asked alike of payouts and of sweeps: what they take, how many there are, a page of them."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.status import IN_FLIGHT, Status

Total = Mapping[str, sa.Select[Any]]
"""A sum of amounts, by the database's dialect; written once, as the sender asks in each cycle and its text costs more than its run."""
NEVER: Final = 2**62
"""No block has so high a number."""


def total_of(amounts: sa.Select[Any]) -> Total:
    """The sum of these amounts."""
    summed = amounts.with_only_columns(sa.func.sum(amounts.selected_columns[0]))
    return {"postgresql": summed, "sqlite": amounts}


async def total(conn: AsyncConnection, of: Total, **known: Any) -> int:
    """Base units; 0 for no rows."""
    found = await conn.execute(of[conn.dialect.name], known)
    # Amounts are text on SQLite, and 256 bits do not fit its integers.
    return int(found.scalar() or 0) if conn.dialect.name == "postgresql" else sum(found.scalars())


def of_asset(table: sa.Table) -> sa.Select[Any]:
    """The amounts of one wallet's rows, of one asset."""
    c = table.c
    return sa.select(c.amount).where(c.wallet == sa.bindparam("wallet"), c.asset == sa.bindparam("asset"))


def spoken_for(table: sa.Table, statuses: Collection[Status], *only: sa.ColumnElement[bool]) -> Total:
    """What rows in these states, those that are `only` so, take of a balance read at `block`, with what left it in later blocks."""
    c = table.c
    later = sa.and_(c.status == Status.FINAL, c.block_number > sa.bindparam("block"))
    return total_of(of_asset(table).where(sa.or_(c.status.in_(list(statuses)), later), *only))


def leaving(table: sa.Table) -> Total:
    """What rows with a nonce take of a balance read at `block`, with what left it in later blocks."""
    c = table.c
    numbered = sa.and_(c.status == Status.APPROVED, c.transaction_id.is_not(None))
    later = sa.and_(c.status == Status.FINAL, c.block_number > sa.bindparam("block"))
    return total_of(of_asset(table).where(sa.or_(c.status.in_(list(IN_FLIGHT)), numbered, later)))


async def count_by_status(conn: AsyncConnection, table: sa.Table) -> dict[str, int]:
    """How many are in each state."""
    rows = await conn.execute(sa.select(table.c.status, sa.func.count()).group_by(table.c.status))
    return {row[0]: row[1] for row in rows}


def newest(table: sa.Table, limit: int, status: Status | None, before: tuple[datetime, str] | None) -> sa.Select[Any]:
    """Newest first; `before` is the (created_at, id) of the last one seen."""
    c = table.c
    query = sa.select(table).order_by(c.created_at.desc(), c.id.desc()).limit(limit)
    if status is not None:
        query = query.where(c.status == status)
    if before is not None:
        older = sa.and_(c.created_at == before[0], c.id < before[1])
        query = query.where(sa.or_(c.created_at < before[0], older))
    return query
