"""Insert-or-ignore: the same row may be written twice, by a retry or by two processes, and is stored once."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.bulk import insert_new


async def insert_or_ignore(
    conn: AsyncConnection, table: sa.Table, rows: Sequence[dict[str, Any]], conflict: Sequence[str] | None = None
) -> list[str]:
    """Insert the rows that violate no unique key. Return the ids of the inserted rows.

    With `conflict`, only rows that violate the key of these columns are ignored; another violation raises IntegrityError. All rows must have
    the same columns.
    """
    if not rows:
        return []
    if len(rows) > 1:
        return await insert_new(conn, table, rows, conflict)
    statement = _insert_or_ignore(conn.dialect.name, table, None if conflict is None else tuple(conflict))
    result = await conn.execute(statement, rows[0])
    return [row.id for row in result]


@cache
def _insert_or_ignore(dialect: str, table: sa.Table, conflict: tuple[str, ...] | None) -> Any:
    # Built once for each table: building the statement took longer than running it.
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    return insert.on_conflict_do_nothing(index_elements=conflict).returning(table.c.id)
