"""SQL of the bulk operations, built by SQLAlchemy once for each table and set of columns, and run as text on the driver.

All rows of a statement travel as one JSON parameter, so that the text does not depend on their number. A multi-row VALUES is compiled by
SQLAlchemy, and planned by the database, for each number of rows; measured, that was half of what a webhook event cost. Both databases
unpack JSON, and both keep the prepared statement. On SQLite some operations run `executemany` instead, with one statement for each row.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect

_ROWS = "rows"
"""The parameter that holds the rows: a JSON array of arrays, one for each row, with the values in the order of the columns."""
_KEY = frozenset({"id", "version"})
Names = tuple[str, ...]


class RowStatement(NamedTuple):
    """A statement for one row, which the driver repeats for many (`executemany`)."""

    text: str
    names: Names
    """The columns whose values the statement takes, in order."""


@lru_cache(maxsize=64)
def insert(table: sa.Table, names: Names, conflict: Names, dialect: Dialect) -> str:
    """Return SQL that inserts rows, ignores those that violate the key `conflict` (empty: any unique key), and returns the ids of the inserted rows."""
    return _text(_ignoring(_insert(table, dialect).from_select(*_rows(table, names, dialect)), conflict), dialect)


@lru_cache(maxsize=64)
def upsert(table: sa.Table, names: Names, column: str, dialect: Dialect) -> str:
    """Return SQL that inserts rows, updates a row whose `id` exists unless its `column` holds more already, and returns the ids of the rows written."""
    return _text(_replacing(_insert(table, dialect).from_select(*_rows(table, names, dialect)), names, column), dialect)


@lru_cache(maxsize=64)
def insert_each(table: sa.Table, names: Names, conflict: Names, dialect: Dialect) -> RowStatement:
    """Return the statement that inserts one row, ignored if it violates the key `conflict`."""
    return _row_statement(
        _ignoring(_insert(table, dialect).values(_parameters(names)), conflict, returning=False), dialect
    )


@lru_cache(maxsize=64)
def upsert_each(table: sa.Table, names: Names, column: str, dialect: Dialect) -> RowStatement:
    """Return the statement that inserts one row; if its `id` exists, it updates that row unless its `column` holds more already."""
    statement = _insert(table, dialect).values(_parameters(names))
    return _row_statement(_replacing(statement, names, column, returning=False), dialect)


@lru_cache(maxsize=64)
def update_versioned(table: sa.Table, names: Names, dialect: Dialect) -> str:
    """Return SQL that updates rows that still have the `id` and `version` in the parameter, increments the version, and returns their ids."""
    rows = _cte(table, names, dialect)
    statement = sa.update(table).values(_changes(names, rows)).values(version=_next_version(table))
    return _text(_by_id(statement.where(table.c.version == rows.c.new_version), table, rows, dialect), dialect)


@lru_cache(maxsize=64)
def update_versioned_each(table: sa.Table, names: Names, dialect: Dialect) -> RowStatement:
    """Return the statement that updates one row that still has the `id` and `version` in the parameters, and increments the version."""
    changed = {name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in names if name not in _KEY}
    unchanged = (table.c[name] == sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in ("id", "version"))
    statement = sa.update(table).values(version=_next_version(table), **changed).where(*unchanged)
    return _row_statement(statement, dialect)


@lru_cache(maxsize=64)
def update_where(table: sa.Table, names: Names, column: str, dialect: Dialect) -> str:
    """Return SQL that updates rows by `id` while `column` holds the second parameter, and returns their ids."""
    rows = _cte(table, names, dialect)
    was = sa.bindparam("was", type_=table.c[column].type)
    statement = sa.update(table).values(_changes(names, rows)).where(table.c[column] == was)
    return _text(_by_id(statement, table, rows, dialect), dialect)


@lru_cache(maxsize=64)
def fill(table: sa.Table, column: str, dialect: Dialect) -> str:
    """Return SQL that sets `column` of rows, by `id`, where it is null, and returns their ids."""
    rows = _cte(table, ("id", column), dialect)
    statement = sa.update(table).values({column: rows.c[f"new_{column}"]}).where(table.c[column].is_(None))
    return _text(_by_id(statement, table, rows, dialect), dialect)


@lru_cache(maxsize=64)
def fill_each(table: sa.Table, column: str, dialect: Dialect) -> RowStatement:
    """Return the statement that sets `column` of one row, by `id`, if it is null."""
    value, row_id = (sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in (column, "id"))
    statement = sa.update(table).values({column: value}).where(table.c.id == row_id, table.c[column].is_(None))
    return _row_statement(statement, dialect)


def _insert(table: sa.Table, dialect: Dialect) -> Any:
    return (postgresql if dialect.name == "postgresql" else sqlite).insert(table)


def _ignoring(statement: Any, conflict: Names, *, returning: bool = True) -> Any:
    statement = statement.on_conflict_do_nothing(index_elements=conflict or None)
    return statement.returning(statement.table.c.id) if returning else statement


def _replacing(statement: Any, names: Names, column: str, *, returning: bool = True) -> Any:
    table, excluded = statement.table, statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=["id"],
        set_={name: excluded[name] for name in names if name != "id"},
        where=table.c[column] <= excluded[column],
    )
    return statement.returning(table.c.id) if returning else statement


def _parameters(names: Names) -> dict[str, Any]:
    return {name: sa.bindparam(name) for name in names}


def _cells(table: sa.Table, names: Names, dialect: Dialect) -> tuple[list[Any], Any]:
    """Return an expression for each column of a row, and the unpacked JSON from which they are read."""
    rows = sa.bindparam(_ROWS, type_=sa.Text())
    if dialect.name == "sqlite":
        item = sa.func.json_each(rows).table_valued("value", name="item")
        return [sa.func.json_extract(item.c.value, sa.literal_column(f"'$[{i}]'")) for i in range(len(names))], item
    item = sa.func.jsonb_array_elements(sa.cast(rows, JSONB)).table_valued("value", name="item").render_derived()
    texts = (item.c.value.op("->>")(sa.literal_column(str(i))) for i in range(len(names)))
    return [sa.cast(text, table.c[name].type) for text, name in zip(texts, names, strict=True)], item


def _rows(table: sa.Table, names: Names, dialect: Dialect) -> tuple[Sequence[str], Any]:
    cells, item = _cells(table, names, dialect)
    # Without a WHERE, SQLite would read ON CONFLICT as the condition of a join.
    return names, sa.select(*cells).select_from(item).where(sa.true())


def _cte(table: sa.Table, names: Names, dialect: Dialect) -> sa.CTE:
    cells, item = _cells(table, names, dialect)
    labelled = (cell.label(f"new_{name}") for name, cell in zip(names, cells, strict=True))
    return sa.select(*labelled).select_from(item).cte("given")


def _changes(names: Names, rows: sa.CTE) -> dict[str, Any]:
    return {name: rows.c[f"new_{name}"] for name in names if name not in _KEY}


def _next_version(table: sa.Table) -> Any:
    return table.c.version + sa.literal_column("1")


def _by_id(statement: Any, table: sa.Table, rows: sa.CTE, dialect: Dialect) -> Any:
    statement = statement.where(table.c.id == rows.c.new_id).returning(table.c.id)
    if dialect.name == "postgresql":
        # Postgres expects a hundred rows of unpacked JSON, and reads a table of up to some ten thousand rows from end to end to find them:
        # 4 ms instead of 0.2. Of an array it expects ten, and uses the index.
        statement = statement.where(table.c.id == sa.any_(sa.func.array(sa.select(rows.c.new_id).scalar_subquery())))
    return statement


def _text(statement: Any, dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect))


def _row_statement(statement: Any, dialect: Dialect) -> RowStatement:
    compiled = statement.compile(dialect=dialect)
    return RowStatement(str(compiled), tuple(name.removeprefix("new_") for name in compiled.positiontup))
