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
from kit.db.drivers import IDLE_TIMEOUT_MS, LOCK_TIMEOUT_MS, STATEMENT_TIMEOUT_MS

Pooling = Literal["none", "session", "transaction", "unknown"]
_SECONDS: Final = 5.0
_MIXED: Final = frozenset({"26000", "42P05"})
"""SQLSTATE of a prepared statement that is missing, or exists already, because another client uses the same server connection."""
_BACKEND: Final = sa.text("SELECT pg_backend_pid()")
SUGGESTED_LIMITS: Final = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_MS // 1000}s",
    "lock_timeout": f"{LOCK_TIMEOUT_MS // 1000}s",
    "idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT_MS // 1000}s",
}
"""Postgres' limits for a statement, for waiting for a lock, and for an open transaction without a statement, with the values that we set."""


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


async def timeouts(database: Database) -> dict[str, str]:
    """Return the limits of SUGGESTED_LIMITS that our connections have, as Postgres writes them, such as `8s`; `0` is no limit. Postgres only."""
    async with database.read() as conn:
        row: Any = (await conn.execute(sa.select(*(sa.func.current_setting(name) for name in SUGGESTED_LIMITS)))).one()
    return dict(zip(SUGGESTED_LIMITS, map(str, row), strict=True))


def missing_limits(limits: dict[str, str]) -> list[str]:
    """Return the names of those of `timeouts` that are no limit."""
    return [name for name, value in limits.items() if value in {"0", ""}]


async def _backend(conn: AsyncConnection) -> int:
    pid = int((await conn.execute(_BACKEND)).scalar_one())
    await conn.rollback()
    return pid
