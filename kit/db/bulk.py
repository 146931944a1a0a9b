"""Write many rows with one statement or one round trip. The statements are in `kit.db.bulk_statements`.

In all functions the rows have the same columns, and there is at least one. Values are bound by the column types, so that both databases
store what they would store for a single row.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db import bulk_statements as statements
from kit.db.atomic import BulkWrite
from kit.db.bulk_statements import Names, RowStatement
from kit.db.database import Database

Rows = Sequence[dict[str, Any]]
_Bind = Callable[[Any], Any] | None


async def insert_new(
    conn: AsyncConnection, table: sa.Table, rows: Rows, conflict: Sequence[str] | None = None
) -> list[str]:
    """Insert the rows that violate no unique key (with `conflict`: not the key of these columns). Return the ids of the inserted rows.

    `rows` must not be empty, and all have the same keys. A violation of another key than `conflict` raises IntegrityError.
    """
    names = tuple(rows[0])
    text = statements.insert(table, names, tuple(conflict or ()), conn.dialect)
    return await _ids(conn, text, _json(table, names, conn.dialect, rows))


async def insert_new_autocommit(
    database: Database, table: sa.Table, rows: Rows, conflict: Sequence[str] | None = None
) -> list[str]:
    """Insert the rows that violate no unique key (with `conflict`: not the key of these columns). Return the ids of the inserted rows.

    It is a transaction of its own, in one round trip. `rows` must not be empty, and all have the same keys.
    """
    names, dialect = tuple(rows[0]), database.engine.dialect
    text = statements.insert(table, names, tuple(conflict or ()), dialect)
    return [row[0] for row in await database.autocommit(text, _json(table, names, dialect, rows))]


async def update_unchanged(conn: AsyncConnection, table: sa.Table, rows: Rows) -> int:
    """Update the rows that still have the `id` and `version` they were read with; the version goes up by one. Return the number of updated rows.

    `rows` must not be empty, and all have the same keys.
    """
    return await execute(conn, plan_update(table, rows, conn.dialect))


async def update_unchanged_autocommit(database: Database, table: sa.Table, rows: Rows) -> list[str]:
    """In a transaction of its own and one round trip, update the rows that still have the `id` and `version` they were read with.

    Their version goes up by one. Return the ids of the updated rows. `rows` must not be empty, and all have the same keys.
    """
    names, dialect = tuple(rows[0]), database.engine.dialect
    text = statements.update_versioned(table, names, dialect)
    return [row[0] for row in await database.autocommit(text, _json(table, names, dialect, rows))]


async def change_where(conn: AsyncConnection, table: sa.Table, rows: Rows, column: str, was: str) -> set[str]:
    """Set the values of each row, named by its `id`, if `column` still holds `was`. Return the ids of the updated rows.

    `rows` must not be empty, and all have the same keys.
    """
    names = tuple(rows[0])
    text = statements.update_where(table, names, column, conn.dialect)
    result = await conn.exec_driver_sql(text, (_json(table, names, conn.dialect, rows), was))
    return {row[0] for row in result}


def plan_insert(table: sa.Table, rows: Rows, conflict: Sequence[str], dialect: Dialect) -> BulkWrite:
    """Return the write that inserts all rows, none of which may exist by the key of the columns `conflict`.

    `rows` must not be empty, and all have the same keys.
    """
    names = tuple(rows[0])
    if dialect.name == "postgresql":
        text = statements.insert(table, names, tuple(conflict), dialect)
        return BulkWrite(text, _json(table, names, dialect, rows), len(rows))
    return _each(statements.insert_each(table, names, tuple(conflict), dialect), table, dialect, rows, len(rows))


def plan_upsert(table: sa.Table, row: dict[str, Any], column: str, dialect: Dialect) -> BulkWrite:
    """Return the write that inserts the row; if its `id` exists, it updates that row unless its `column` holds more already."""
    names = tuple(row)
    if dialect.name == "postgresql":
        text = statements.upsert(table, names, column, dialect)
        return BulkWrite(text, _json(table, names, dialect, [row]), None)
    return _each(statements.upsert_each(table, names, column, dialect), table, dialect, [row], None)


def plan_update(table: sa.Table, rows: Rows, dialect: Dialect) -> BulkWrite:
    """Return the write that updates all rows, which must still have the `id` and `version` they were read with; the version goes up by one.

    `rows` must not be empty, and all have the same keys.
    """
    names = tuple(rows[0])
    if dialect.name == "postgresql":
        text = statements.update_versioned(table, names, dialect)
        return BulkWrite(text, _json(table, names, dialect, rows), len(rows))
    return _each(statements.update_versioned_each(table, names, dialect), table, dialect, rows, len(rows))


def plan_fill(table: sa.Table, column: str, values: Sequence[tuple[str, str]], dialect: Dialect) -> BulkWrite:
    """Return the write that sets the text column `column`, which must be null, of each row in `values`: (id, text)."""
    if dialect.name == "postgresql":
        return BulkWrite(statements.fill(table, column, dialect), orjson.dumps(values).decode(), len(values))
    text = statements.fill_each(table, column, dialect).text
    return BulkWrite(text, [(value, row_id) for row_id, value in values], len(values))


async def execute(conn: AsyncConnection, write: BulkWrite) -> int:
    """Execute `write` in the caller's transaction and return how many rows it changed; `expected_rows` is not checked."""
    if conn.dialect.name == "postgresql":
        return len(await _ids(conn, write.text, write.parameters))
    return (await conn.exec_driver_sql(write.text, write.parameters)).rowcount


async def _ids(conn: AsyncConnection, text: str, payload: str) -> list[str]:
    result = await conn.exec_driver_sql(text, (payload,))
    return [row[0] for row in result]


def _each(
    statement: RowStatement, table: sa.Table, dialect: Dialect, rows: Rows, expected_rows: int | None
) -> BulkWrite:
    return BulkWrite(statement.text, _values(table, statement.names, dialect, rows), expected_rows)


def _json(table: sa.Table, names: Names, dialect: Dialect, rows: Rows) -> str:
    return orjson.dumps(_values(table, names, dialect, rows), default=str).decode()


def _values(table: sa.Table, names: Names, dialect: Dialect, rows: Rows) -> list[tuple[Any, ...]]:
    columns = [
        _column([row[name] for row in rows], bind)
        for name, bind in zip(names, _binds(table, names, dialect), strict=True)
    ]
    return list(zip(*columns, strict=True))


def _column(values: list[Any], bind: _Bind) -> list[Any]:
    if bind is None:
        return values
    bound_values, previous, bound = [], object(), None
    for value in values:
        # Rows that share one object, such as the current time, bind it once.
        if value is not previous:
            previous, bound = value, bind(value)
        bound_values.append(bound)
    return bound_values


@lru_cache(maxsize=64)
def _binds(table: sa.Table, names: Names, dialect: Dialect) -> tuple[_Bind, ...]:
    return tuple(table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names)
