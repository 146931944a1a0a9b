"""Find out whether a connection pooler stands before Postgres, and of which kind.

A pooler in transaction mode lends another server connection for each transaction. Prepared statements and session settings of one then
meet those of others: statements fail at random, and timeouts are lost. That has to be known before anything starts.
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
"""SQLSTATE: a prepared statement that is not there, or is there already; somebody else uses the same server connection."""
_BACKEND: Final = sa.text("SELECT pg_backend_pid()")
_TIMEOUTS: Final = sa.text("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")


async def pooling(database: Database) -> Pooling:
    """Return what stands before the primary. Costs one query where it is nothing. Raises what the database raises when it is away.

    A server says at login which process serves the connection; a pooler makes that up. Where they differ, a second connection holds
    the server connection that the first has just used: one in transaction mode then gives the first another one.
    """
    if database.dialect == "sqlite":
        return "none"
    try:
        async with asyncio.timeout(_SECONDS), database.engine.connect() as first:
            told = (await first.get_raw_connection()).driver_connection
            assert isinstance(told, asyncpg.Connection)
            before = await _backend(first)
            if told.get_server_pid() == before:
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
    """Return the server's limits that hold on our connections, as Postgres writes them: `statement_timeout`, `lock_timeout`."""
    async with database.read() as connection:
        row: Any = (await connection.execute(_TIMEOUTS)).one()
    return str(row[0]), str(row[1])


async def _backend(connection: AsyncConnection) -> int:
    pid = int((await connection.execute(_BACKEND)).scalar_one())
    await connection.rollback()
    return pid
