"""Many rows in one statement whose text does not grow with them: the rows travel as one JSON parameter.

A multi-row VALUES is written anew for each number of rows, by SQLAlchemy and by the database's planner; measured, that was half of
what an event cost. Both databases unpack JSON, and both keep the prepared statement.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.atomic import Change
from kit.db.database import Database

Family = Literal["sqlite", "postgresql"]
Bind = Callable[[Any], Any] | None


async def insert_new(
    conn: AsyncConnection, table: sa.Table, rows: Sequence[dict[str, Any]], conflict: Sequence[str] | None = None
) -> list[str]:
    """Insert the rows that meet no unique key (`conflict`: no row with these); the ids that went in. All rows have the same columns."""
    names = tuple(rows[0])
    dialect = conn.dialect
    text = _insert(table, names, tuple(conflict or ()), _family(conn))
    return await _run(conn, text, _payload(table, names, dialect, rows))


async def insert_new_alone(
    database: Database, table: sa.Table, rows: Sequence[dict[str, Any]], conflict: Sequence[str] | None = None
) -> list[str]:
    """The same in a transaction of its own, in one round trip."""
    names = tuple(rows[0])
    dialect = database.engine.dialect
    text = _insert(table, names, tuple(conflict or ()), database.dialect)
    return [row[0] for row in await database.alone(text, _payload(table, names, dialect, rows))]


async def update_unchanged_alone(database: Database, table: sa.Table, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Update each row that still has the `id` and `version` it was read with; the ids that were changed. The version goes up by one.

    In a transaction of its own, in one round trip.
    """
    names = tuple(rows[0])
    text = _update(table, names, database.dialect)
    return [row[0] for row in await database.alone(text, _payload(table, names, database.engine.dialect, rows))]


def inserting(table: sa.Table, rows: Sequence[dict[str, Any]], conflict: Sequence[str], dialect: Dialect) -> Change:
    """Insert the rows, none of which may be there already by these columns. All have the same columns."""
    names = tuple(rows[0])
    if dialect.name == "postgresql":
        text = _insert(table, names, tuple(conflict), "postgresql")
        return Change(text, _payload(table, names, dialect, rows), len(rows))
    return Change(_insert_each(table, names, tuple(conflict)), _values(table, names, dialect, rows), len(rows))


def upserting(table: sa.Table, row: dict[str, Any], column: str, dialect: Dialect) -> Change:
    """Insert the row; where its `id` exists, update that row, unless the value of its `column` is higher already."""
    names = tuple(row)
    moved = ", ".join(f"{name} = excluded.{name}" for name in names if name != "id")
    instead = f"UPDATE SET {moved} WHERE {table.name}.{column} <= excluded.{column}"
    if dialect.name == "postgresql":
        text = _insert(table, names, ("id",), "postgresql", instead)
        return Change(text, _payload(table, names, dialect, [row]), None)
    return Change(_insert_each(table, names, ("id",), instead), _values(table, names, dialect, [row]), None)


def updating(table: sa.Table, rows: Sequence[dict[str, Any]], dialect: Dialect) -> Change:
    """Update the rows, each of which must still have the `id` and `version` it was read with. The version goes up by one."""
    names = tuple(rows[0])
    if dialect.name == "postgresql":
        return Change(_update(table, names, "postgresql"), _payload(table, names, dialect, rows), len(rows))
    changed = [name for name in names if name not in {"id", "version"}]
    text = (
        f"UPDATE {table.name} SET version = version + 1, {', '.join(f'{name} = ?' for name in changed)} "  # noqa: S608 - names of our own tables
        "WHERE id = ? AND version = ?"
    )
    return Change(text, _values(table, (*changed, "id", "version"), dialect, rows), len(rows))


async def update_unchanged(conn: AsyncConnection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> int:
    """The same in the caller's transaction; how many were changed."""
    return await execute(conn, updating(table, rows, conn.dialect))


async def change_where(
    conn: AsyncConnection, table: sa.Table, rows: Sequence[dict[str, Any]], column: str, was: str
) -> set[str]:
    """Give each row, named by its `id`, its values while `column` still holds `was`; the ids of those that were changed."""
    names = tuple(rows[0])
    text = _change(table, names, column, _family(conn))
    result = await conn.exec_driver_sql(text, (_payload(table, names, conn.dialect, rows), was))
    return {row[0] for row in result}


def filling(table: sa.Table, column: str, values: Sequence[tuple[str, str]], dialect: Dialect) -> Change:
    """Give each row of these (id, text) its text; its `column` must still be null."""
    if dialect.name == "postgresql":
        return Change(_fill(table, column), orjson.dumps(values).decode(), len(values))
    text = f"UPDATE {table.name} SET {column} = ? WHERE id = ? AND {column} IS NULL"  # noqa: S608 - names of our own tables
    return Change(text, [(value, row_id) for row_id, value in values], len(values))


async def execute(conn: AsyncConnection, change: Change) -> int:
    """A change in the caller's transaction, whatever it meets; how many rows it changed."""
    if _family(conn) == "postgresql":
        return len(await _run(conn, change.text, change.given))
    return (await conn.exec_driver_sql(change.text, change.given)).rowcount


async def _run(conn: AsyncConnection, text: str, payload: str) -> list[str]:
    result = await conn.exec_driver_sql(text, (payload,))
    return [row[0] for row in result]


def _family(conn: AsyncConnection) -> Family:
    return "sqlite" if conn.dialect.name == "sqlite" else "postgresql"


def _payload(table: sa.Table, names: tuple[str, ...], dialect: Dialect, rows: Sequence[dict[str, Any]]) -> str:
    return orjson.dumps(_values(table, names, dialect, rows), default=str).decode()


def _values(
    table: sa.Table, names: tuple[str, ...], dialect: Dialect, rows: Sequence[dict[str, Any]]
) -> list[tuple[Any, ...]]:
    columns = [
        _column([row[name] for row in rows], bind)
        for name, bind in zip(names, _binds(table, names, dialect), strict=True)
    ]
    return list(zip(*columns, strict=True))


def _column(values: list[Any], bind: Bind) -> list[Any]:
    if bind is None:
        return values
    bound, last, made = [], object(), None
    for value in values:
        # The same moment, of all rows, is written out once.
        if value is not last:
            last, made = value, bind(value)
        bound.append(made)
    return bound


@lru_cache(maxsize=64)
def _binds(table: sa.Table, names: tuple[str, ...], dialect: Dialect) -> tuple[Bind, ...]:
    return tuple(table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names)


@lru_cache(maxsize=64)
def _insert(
    table: sa.Table, names: tuple[str, ...], conflict: tuple[str, ...], family: Family, instead: str = "NOTHING"
) -> str:
    target = f" ({', '.join(conflict)})" if conflict else ""
    return (
        f"INSERT INTO {table.name} ({_quoted(names)}) SELECT {', '.join(_cells(table, names, family))} "  # noqa: S608 - names of our own tables
        f"FROM {_source(family)} WHERE true ON CONFLICT{target} DO {instead} RETURNING id"
    )


def _insert_each(table: sa.Table, names: tuple[str, ...], conflict: tuple[str, ...], instead: str = "NOTHING") -> str:
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "  # noqa: S608 - names of our own tables
        f"ON CONFLICT ({', '.join(conflict)}) DO {instead}"
    )


@lru_cache(maxsize=64)
def _update(table: sa.Table, names: tuple[str, ...], family: Family) -> str:
    changes = f"version = {table.name}.version + 1, {_changes(names)}"
    same = f"{table.name}.version = given.new_version"
    return _update_from(table, names, family, changes, same)


@lru_cache(maxsize=64)
def _change(table: sa.Table, names: tuple[str, ...], column: str, family: Family) -> str:
    same = f"{table.name}.{column} = {'?' if family == 'sqlite' else '$2'}"
    return _update_from(table, names, family, _changes(names), same)


def _changes(names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = given.new_{name}" for name in names if name not in {"id", "version"})


def _update_from(table: sa.Table, names: tuple[str, ...], family: Family, changes: str, same: str) -> str:
    return (
        f"{_given(table, names, family)} UPDATE {table.name} SET {changes} FROM given "  # noqa: S608 - names of our own tables
        f"WHERE {table.name}.id = given.new_id AND {same}{_by_key(table, family)} RETURNING {table.name}.id"
    )


def _given(table: sa.Table, names: tuple[str, ...], family: Family) -> str:
    cells = ", ".join(f"{cell} AS new_{name}" for name, cell in zip(names, _cells(table, names, family), strict=True))
    return f"WITH given AS (SELECT {cells} FROM {_source(family)})"  # noqa: S608 - names of our own tables


def _by_key(table: sa.Table, family: Family) -> str:
    # Of unpacked JSON Postgres expects a hundred rows, and reads a table of up to some ten thousand from end to end to find them: 4 ms instead
    # of 0.2. Of an array it expects ten, and asks the key.
    return f" AND {table.name}.id = ANY (ARRAY (SELECT new_id FROM given))" if family == "postgresql" else ""  # noqa: S608 - names of our own tables


@lru_cache(maxsize=64)
def _fill(table: sa.Table, column: str) -> str:
    same = f"{table.name}.{column} IS NULL"
    return _update_from(table, ("id", column), "postgresql", f"{column} = given.new_{column}", same)


def _quoted(names: tuple[str, ...]) -> str:
    """As both databases take names that are words of SQL, too."""
    return ", ".join(f'"{name}"' for name in names)


def _source(family: Family) -> str:
    return (
        "json_each(?) AS item" if family == "sqlite" else "jsonb_array_elements(CAST($1::text AS jsonb)) AS item(value)"
    )


def _cells(table: sa.Table, names: tuple[str, ...], family: Family) -> list[str]:
    if family == "sqlite":
        return [f"json_extract(item.value, '$[{place}]')" for place in range(len(names))]
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy leaves it untyped
    return [f"CAST(item.value->>{place} AS {table.c[name].type.compile(dialect)})" for place, name in enumerate(names)]
