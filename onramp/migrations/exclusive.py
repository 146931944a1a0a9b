"""One migration at a time, each all or nothing: a transaction that excludes every other migration, on both databases."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import Database

LOCK_ID: Final = 0x6F6E72616D70
"""The id of the advisory lock on Postgres: the letters of `onramp`."""
WAIT_SECONDS: Final = 60.0
"""Seconds that a migration waits for another one to end."""
TABLE_WAIT_SECONDS: Final = 5.0
"""Seconds that a migration waits for a table that is in use. Few, because all other statements on the table queue behind it."""
_POLL_MS: Final = 500
_LOCK_NOT_AVAILABLE: Final = "55P03"
"""SQLSTATE of a lock timeout (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""


class MigrationError(Exception):
    """The database was not migrated, or does not fit this version. The text says what was left unchanged and what to do next."""


def is_lock_timeout(error: DBAPIError) -> bool:
    """Return whether Postgres gave up waiting for a lock."""
    return getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE


@asynccontextmanager
async def exclusive(database: Database, *, seconds: float = WAIT_SECONDS) -> AsyncIterator[AsyncConnection]:
    """Open a transaction that excludes every other migration of this database; it is rolled back when the block raises.

    Raises MigrationError if another process holds the lock for longer than `seconds`.
    """
    async with database.without_time_limits() as connection:
        begin = _sqlite if database.dialect == "sqlite" else _postgres
        async with begin(connection, seconds):
            yield connection


def _busy(seconds: float) -> MigrationError:
    return MigrationError(
        f"Another process has been migrating or locking the database for {seconds:.0f} s. Nothing was changed: "
        "wait until it has ended, then try again."
    )


@asynccontextmanager
async def _postgres(connection: AsyncConnection, seconds: float) -> AsyncIterator[None]:
    async with connection.begin():
        await connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        await connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(sa.text(f"SET LOCAL lock_timeout = {max(1, int(seconds * 1000))}"))
        try:
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK_ID)))
        except DBAPIError as error:
            if is_lock_timeout(error):
                raise _busy(seconds) from error
            raise
        await connection.execute(sa.text(f"SET LOCAL lock_timeout = {int(TABLE_WAIT_SECONDS * 1000)}"))
        yield


@asynccontextmanager
async def _sqlite(connection: AsyncConnection, seconds: float) -> AsyncIterator[None]:
    """Begin with the write lock, which covers schema changes, too: https://www.sqlite.org/lang_transaction.html.

    Foreign keys are checked once at the end: a table that is copied and dropped would break those that point to it meanwhile
    (https://www.sqlite.org/lang_altertable.html#otheralter).
    """
    usual = (await connection.exec_driver_sql("PRAGMA busy_timeout")).scalar_one()
    # SQLite waits inside its driver's thread, where a cancellation cannot interrupt it: hence many short waits instead of a long one.
    await connection.exec_driver_sql(f"PRAGMA busy_timeout = {_POLL_MS}")
    await connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    await connection.rollback()
    await connection.execution_options(begin_immediate=True)
    try:
        await _begin(connection, seconds)
        yield
        broken = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).all()
        if broken:
            tables = ", ".join(sorted({row[0] for row in broken}))
            raise MigrationError(
                f"The migration would leave rows of {tables} that refer to nothing. Nothing was changed."
            )
        await connection.commit()
    finally:
        await connection.rollback()
        await connection.execution_options(begin_immediate=False)
        await connection.exec_driver_sql(f"PRAGMA busy_timeout = {usual}")
        await connection.exec_driver_sql("PRAGMA foreign_keys = ON")


async def _begin(connection: AsyncConnection, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            await connection.begin()
        except OperationalError as error:
            await connection.rollback()
            if "is locked" not in str(error.orig):
                raise
            if time.monotonic() >= until:
                raise _busy(seconds) from error
        else:
            return
