"""Sums, counts and pages of payouts and of sweeps, whose tables share the columns used here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.paging import Position, newest_first
from kit.db.types import constant
from treasury.core.status import IN_FLIGHT, OPEN, Status

Total = Mapping[str, sa.Select[Any]]
"""Queries of a sum of amounts, by database dialect. Built once: the sender reads sums in each cycle, and building one takes longer than running it."""
NO_BLOCK: Final = 2**62
"""A number above every block number: no row is final after it."""


def total_of(*amounts: sa.Select[Any]) -> Total:
    """Return the query of the sum of several queries' amounts, each of which is planned on its own. No row may be in two of them."""
    if len(amounts) == 1:
        summed = amounts[0].with_only_columns(sa.func.sum(amounts[0].selected_columns[0]))
        return {"postgresql": summed, "sqlite": amounts[0]}
    rows = sa.union_all(*amounts).subquery()
    return {"postgresql": sa.select(sa.func.sum(rows.c.amount)), "sqlite": sa.select(rows.c.amount)}


async def total(conn: AsyncConnection, of: Total, **parameters: Any) -> int:
    """Return the sum in base units that a query finds; 0 without rows."""
    result = await conn.execute(of[conn.dialect.name], parameters)
    # Amounts are text on SQLite, and 256 bits do not fit its integers.
    return int(result.scalar() or 0) if conn.dialect.name == "postgresql" else sum(result.scalars())


def of_asset(table: sa.Table) -> sa.Select[Any]:
    """Return the query of the amounts of one wallet's rows of one asset (parameters `wallet` and `asset`)."""
    c = table.c
    return sa.select(c.amount).where(c.wallet == sa.bindparam("wallet"), c.asset == sa.bindparam("asset"))


def reserved(
    table: sa.Table, statuses: Collection[Status], *only: sa.ColumnElement[bool]
) -> tuple[sa.Select[Any], sa.Select[Any]]:
    """Return the queries of the amounts that rows in these statuses reserve of a balance that was read at `block`.

    Rows that became final in later blocks count too, because that balance still includes them. `only` are further conditions.
    """
    return of_asset(table).where(in_states(table, statuses), *only), _final_after(table).where(*only)


def outgoing(table: sa.Table) -> Total:
    """Return the query of the sum that rows with a nonce take out of a balance read at `block`, and of the amounts that left in later blocks."""
    c = table.c
    has_nonce = sa.or_(c.status.in_([constant(status) for status in sorted(IN_FLIGHT)]), c.transaction_id.is_not(None))
    leaving = of_asset(table).where(in_states(table, [*IN_FLIGHT, Status.APPROVED]), has_nonce)
    return total_of(leaving, _final_after(table))


def in_states(table: sa.Table, statuses: Collection[Status]) -> sa.ColumnElement[bool]:
    """Return the condition that a row is in one of these statuses. They are constants of the statement, so that the database can use partial indexes."""
    return table.c.status.in_([constant(status) for status in sorted(statuses)])


def _final_after(table: sa.Table) -> sa.Select[Any]:
    """Return the query of amounts that left a wallet after `block`.

    It reads a partial index, so it costs the rows of those blocks, however many rows are final.
    """
    c = table.c
    return of_asset(table).where(c.status == constant(Status.FINAL), c.block_number > sa.bindparam("block"))


async def count_by_status(conn: AsyncConnection, table: sa.Table) -> dict[str, int]:
    """Return how many rows are in each status. It reads all of them, so it is only for tables that stay small."""
    rows = await conn.execute(sa.select(table.c.status, sa.func.count()).group_by(table.c.status))
    return {row[0]: row[1] for row in rows}


async def count_open(conn: AsyncConnection, table: sa.Table) -> dict[str, int]:
    """Return how many rows are in each status that is not final, cancelled, rejected or reverted."""
    query = sa.select(table.c.status, sa.func.count()).where(in_states(table, OPEN)).group_by(table.c.status)
    return {row[0]: row[1] for row in await conn.execute(query)}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which payouts or sweeps a list shows; None leaves a column out. `to` is the recipient (EIP-55)."""

    status: Status | None = None
    reason: str | None = None
    to: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Created before this time."""


EVERYTHING: Final = Filter()


def newest(table: sa.Table, limit: int, chosen: Filter, before: Position | None) -> sa.Select[Any]:
    """Return a query for payouts or sweeps, newest first: those that `chosen` selects, with `before` those after that position of the list.

    Each filter has an index that ends with the order of the list, so that a page does not cost more the more rows there are.
    """
    c = table.c
    query = newest_first(sa.select(table), c.created_at, c.id, before).limit(limit)
    if chosen.status is not None:
        query = query.where(c.status == chosen.status)
    if chosen.reason is not None:
        query = query.where(c.reason == chosen.reason)
    if chosen.to is not None:
        query = query.where(c.to_address == chosen.to)
    if chosen.since is not None:
        query = query.where(c.created_at >= chosen.since)
    if chosen.until is not None:
        query = query.where(c.created_at < chosen.until)
    return query
