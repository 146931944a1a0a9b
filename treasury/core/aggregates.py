"""What is asked alike of payouts and of sweeps: what they take, how many there are, a page of them."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.types import constant
from treasury.core.status import IN_FLIGHT, OPEN, Status

Total = Mapping[str, sa.Select[Any]]
"""A sum of amounts, by the database's dialect; written once, as the sender asks in each cycle and its text costs more than its run."""
NO_BLOCK: Final = 2**62
"""No block has so high a number."""


def total_of(*amounts: sa.Select[Any]) -> Total:
    """The sum of the amounts that these queries find, each of which is planned for itself; no row may be in two of them."""
    if len(amounts) == 1:
        summed = amounts[0].with_only_columns(sa.func.sum(amounts[0].selected_columns[0]))
        return {"postgresql": summed, "sqlite": amounts[0]}
    every = sa.union_all(*amounts).subquery()
    return {"postgresql": sa.select(sa.func.sum(every.c.amount)), "sqlite": sa.select(every.c.amount)}


async def total(conn: AsyncConnection, of: Total, **known: Any) -> int:
    """Base units; 0 for no rows."""
    found = await conn.execute(of[conn.dialect.name], known)
    # Amounts are text on SQLite, and 256 bits do not fit its integers.
    return int(found.scalar() or 0) if conn.dialect.name == "postgresql" else sum(found.scalars())


def of_asset(table: sa.Table) -> sa.Select[Any]:
    """The amounts of one wallet's rows, of one asset."""
    c = table.c
    return sa.select(c.amount).where(c.wallet == sa.bindparam("wallet"), c.asset == sa.bindparam("asset"))


def reserved(table: sa.Table, statuses: Collection[Status], *only: sa.ColumnElement[bool]) -> Total:
    """What rows in these states, those that are `only` so, take of a balance read at `block`, with what left it in later blocks."""
    return total_of(of_asset(table).where(in_states(table, statuses), *only), _final_after(table).where(*only))


def outgoing(table: sa.Table) -> Total:
    """What rows with a nonce take of a balance read at `block`, with what left it in later blocks."""
    c = table.c
    numbered = sa.or_(c.status.in_([constant(one) for one in sorted(IN_FLIGHT)]), c.transaction_id.is_not(None))
    open_ = of_asset(table).where(in_states(table, [*IN_FLIGHT, Status.APPROVED]), numbered)
    return total_of(open_, _final_after(table))


def in_states(table: sa.Table, statuses: Collection[Status]) -> sa.ColumnElement[bool]:
    """Whether a row is in one of these states, written so that the plan may rest on which they are."""
    return table.c.status.in_([constant(one) for one in sorted(statuses)])


def _final_after(table: sa.Table) -> sa.Select[Any]:
    """Amounts that left a wallet after `block`: by a partial index, at the cost of those blocks, however many rows are final."""
    c = table.c
    return of_asset(table).where(c.status == constant(Status.FINAL), c.block_number > sa.bindparam("block"))


async def count_by_status(conn: AsyncConnection, table: sa.Table) -> dict[str, int]:
    """How many are in each state, by reading all of them: for tables that stay small."""
    rows = await conn.execute(sa.select(table.c.status, sa.func.count()).group_by(table.c.status))
    return {row[0]: row[1] for row in rows}


async def count_open(conn: AsyncConnection, table: sa.Table) -> dict[str, int]:
    """How many are in each state that is not final, cancelled, rejected or reverted."""
    query = sa.select(table.c.status, sa.func.count()).where(in_states(table, OPEN)).group_by(table.c.status)
    return {row[0]: row[1] for row in await conn.execute(query)}


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
