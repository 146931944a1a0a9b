"""Column types and clock expressions that mean the same on SQLite and Postgres."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

_DIGITS = 78
_NAME = re.compile(r"[a-z_]+")
_SQLITE_FORMAT = "%Y-%m-%dT%H:%M:%f000Z"


def one_of(column: str, values: Iterable[str]) -> sa.CheckConstraint:
    """Return a table's CHECK that `column` holds one of `values`; the naming convention makes the name from the column's."""
    return sa.CheckConstraint(f"{column} IN ({', '.join(repr(str(value)) for value in values)})", name=column)


class Uint256(TypeDecorator[int]):
    """An unsigned 256-bit integer: `numeric(78,0)` on Postgres, zero-padded text that sorts on SQLite."""

    impl = sa.Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.Numeric(_DIGITS, 0))
        return dialect.type_descriptor(sa.String(_DIGITS))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**256:
            raise ValueError("not an unsigned 256-bit integer")
        return Decimal(value) if dialect.name == "postgresql" else str(value).rjust(_DIGITS, "0")

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        del dialect
        return None if value is None else int(value)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time: `timestamptz` on Postgres, ISO text of fixed width that sorts on SQLite. Naive times are refused."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.DateTime(timezone=True))
        return dialect.type_descriptor(sa.String(27))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone")
        if dialect.name == "postgresql":
            return value
        moment = value if value.tzinfo is UTC else value.astimezone(UTC)
        return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value if dialect.name == "postgresql" else datetime.fromisoformat(value)
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


class _DbNow(FunctionElement[datetime]):
    """The database's clock plus some seconds; leases are set and compared by it."""

    inherit_cache = True
    type = UtcDateTime()
    name = "db_now"


def db_now(seconds: float = 0) -> _DbNow:
    """Return an expression for the database's clock plus `seconds`, which may be negative. It can be compared with `UtcDateTime` columns."""
    return _DbNow(sa.literal(seconds, sa.Float()))


@compiles(_DbNow, "postgresql")
def _postgres(element: _DbNow, compiler: SQLCompiler, **options: Any) -> str:
    (seconds,) = element.clauses
    return (
        f"(clock_timestamp() + make_interval(secs => CAST({compiler.process(seconds, **options)} AS double precision)))"
    )


@compiles(_DbNow, "sqlite")
def _sqlite(element: _DbNow, compiler: SQLCompiler, **options: Any) -> str:
    (seconds,) = element.clauses
    return f"strftime('{_SQLITE_FORMAT}', 'now', {compiler.process(seconds, **options)} || ' seconds')"


def constant(text: str) -> sa.ColumnElement[str]:
    """Return the name of a state as text of the statement instead of a parameter. Raises ValueError if `text` is no such name.

    A partial index is used only if the statement itself shows that its predicate is true. With a parameter, SQLite never uses the index, and
    Postgres only while it plans the statement for each run: https://www.postgresql.org/docs/current/indexes-partial.html.
    """
    if not _NAME.fullmatch(text):
        raise ValueError("not the name of a state")
    return sa.literal_column(f"'{text}'", sa.String())


class _Texts(TypeDecorator[list[str]]):
    """A list of texts as one parameter: an array on Postgres, JSON on SQLite."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.ARRAY(sa.String()) if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        texts = list(value or ())
        return texts if dialect.name == "postgresql" else orjson.dumps(texts).decode()


class _InArray(FunctionElement[bool]):
    inherit_cache = True
    type = sa.Boolean()
    name = "in_array"

    def self_group(self, against: Any = None) -> Any:
        """Return the condition itself: SQLAlchemy would append `= 1` for SQLite, which has no booleans, and then no index would be used."""
        del against
        return self


def in_array(column: sa.ColumnElement[str], name: str) -> sa.ColumnElement[bool]:
    """Return the condition that `column` is one of the texts in the statement's parameter `name`, a list.

    The text of the statement is the same for any number of texts; `IN` with a placeholder for each is compiled and planned for every number.
    """
    return _InArray(column, sa.bindparam(name, type_=_Texts()))


@compiles(_InArray, "postgresql")
def _postgres_in_array(element: _InArray, compiler: SQLCompiler, **options: Any) -> str:
    column, texts = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({column} = ANY ({texts}))"


@compiles(_InArray, "sqlite")
def _sqlite_in_array(element: _InArray, compiler: SQLCompiler, **options: Any) -> str:
    column, texts = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({texts})))"  # noqa: S608 - compiler output
