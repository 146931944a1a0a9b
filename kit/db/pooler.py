"""Detect a connection pooler in front of Postgres, and its mode.

A pooler in transaction mode uses another server connection for each transaction. Prepared statements and session settings then collide with
those of other clients: statements fail at random, and timeouts are lost. The service has to know before it starts.
"""

import asyncio
from typing import Any, Final, Literal

import asyncpg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import Database

Pooling = Literal["none", "session", "transaction", "unknown"]
_SECONDS: Final = 5.0
_MIXED: Final = frozenset({"26000", "42P05"})
"""SQLSTATE of a prepared statement that is missing, or exists already, because another client uses the same server connection."""
_BACKEND: Final = sa.text("SELECT pg_backend_pid()")
_TIMEOUTS: Final = sa.text("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")


async def pooling(database: Database) -> Pooling:
    """Return the mode of the pooler in front of the primary; `unknown` if the database does not answer in time. Raises the database's errors.

    Costs one query if there is no pooler. At login, a server reports the process that serves the connection; a pooler reports an invented one.
    If the two differ, a second connection occupies the server connection that the first has just used; in transaction mode, the first then gets
    another one.
    """
    if database.dialect == "sqlite":
        return "none"
    try:
        async with asyncio.timeout(_SECONDS), database.engine.connect() as first:
            driver = (await first.get_raw_connection()).driver_connection
            assert isinstance(driver, asyncpg.Connection)
            before = await _backend(first)
            if driver.get_server_pid() == before:
                return "none"
            async with database.engine.connect() as second:
                await second.execute(_BACKEND)
                return "session" if await _backend(first) == before else "transaction"
    except DBAPIError as error:
        if str(getattr(error.orig, "sqlstate", "")) in _MIXED:
            return "transaction"
        raise
    except TimeoutError:
        return "unknown"


async def timeouts(database: Database) -> tuple[str, str]:
    """Return `statement_timeout` and `lock_timeout` of our connections, as Postgres writes them. Postgres only."""
    async with database.read() as conn:
        row: Any = (await conn.execute(_TIMEOUTS)).one()
    return str(row[0]), str(row[1])


async def _backend(conn: AsyncConnection) -> int:
    pid = int((await conn.execute(_BACKEND)).scalar_one())
    await conn.rollback()
    return pid
