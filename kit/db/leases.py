"""Leases: workers claim due rows for a limited time, so that a row of a worker that died is claimed again."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.types import UtcDateTime, db_now


def lease_columns() -> tuple[sa.Column[Any], sa.Column[Any]]:
    """Return the columns that say which process works on a row, and until when on the database's clock."""
    return sa.Column("lease_owner", sa.String(64)), sa.Column("lease_until", UtcDateTime())


async def claim(
    conn: AsyncConnection,
    table: sa.Table,
    *,
    owner: str,
    seconds: float,
    limit: int,
    due: sa.ColumnElement[bool],
    order_by: sa.ColumnElement[Any],
) -> Sequence[sa.Row[Any]]:
    """Lease up to `limit` rows that `due` selects for `seconds`, and return them. A row has one owner at a time, whatever runs concurrently."""
    free = sa.or_(table.c.lease_until.is_(None), table.c.lease_until < db_now())
    chosen = sa.select(table.c.id).where(due, free).order_by(order_by).limit(limit)
    if conn.dialect.name == "postgresql":
        chosen = chosen.with_for_update(skip_locked=True)
    result = await conn.execute(
        sa.update(table)
        .where(table.c.id.in_(chosen))
        .values(lease_owner=owner, lease_until=db_now(seconds))
        .returning(table)
    )
    rows: Sequence[sa.Row[Any]] = result.fetchall()
    return rows


async def release(conn: AsyncConnection, table: sa.Table, row_id: str, owner: str, **values: Any) -> bool:
    """End the lease of a row and set `values`. Return False, changing nothing, if `owner` no longer has the lease."""
    result = await conn.execute(
        sa.update(table)
        .where(table.c.id == row_id, table.c.lease_owner == owner)
        .values(lease_owner=None, lease_until=None, **values)
    )
    return result.rowcount == 1
