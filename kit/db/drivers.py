"""Driver connections whose waits are all limited.

Neither driver limits its waits by itself. Nor does the kernel give up on a peer that acknowledges every packet but never answers, such as a
load balancer or pooler whose backend died. So the limits are set here, in the client.
"""

import asyncio
import os
import socket
import sqlite3
from typing import Any, Final

import aiosqlite
import asyncpg

LOCK_TIMEOUT_MS: Final = 5_000
STATEMENT_TIMEOUT_MS: Final = 8_000
"""The server's limit for a statement, in milliseconds. It ends the statement in an orderly way, before the client's own limit closes the connection."""
IDLE_TIMEOUT_MS: Final = 30_000
"""The server's limit for an open transaction without a statement, in milliseconds, so that a process that hangs keeps no locks."""
COMMAND_SECONDS: Final = 10.0
"""Seconds that the client waits for the result of one command, including commit and rollback."""
CONNECT_SECONDS: Final = 5.0
"""Seconds that opening a connection may take, including name resolution, TLS and login."""
POOL_SECONDS: Final = 5.0
"""Seconds to wait for a free connection of the pool."""
CLOSE_SECONDS: Final = 2.0
"""Seconds that closing all connections in an orderly way may take before they are aborted."""
SQLITE_BUSY_MS: Final = 8_000
"""Milliseconds that SQLite waits for its lock."""
SQLITE_SECONDS: Final = 15.0
"""Seconds that one call of SQLite may take, including the wait for its lock, and a slow disk."""
_KEEPALIVE: Final = (
    ("SO_KEEPALIVE", socket.SOL_SOCKET, 1),
    ("TCP_KEEPIDLE", socket.IPPROTO_TCP, 10),
    ("TCP_KEEPINTVL", socket.IPPROTO_TCP, 5),
    ("TCP_KEEPCNT", socket.IPPROTO_TCP, 3),
    ("TCP_USER_TIMEOUT", socket.IPPROTO_TCP, 15_000),
)
"""Socket options with which the kernel notices within 15 to 25 s that a peer sends no acknowledgements, also on an idle connection; see tcp(7)."""

SESSION_LIMITS: Final = (
    f"SET lock_timeout = {LOCK_TIMEOUT_MS}; SET statement_timeout = {STATEMENT_TIMEOUT_MS};"
    f" SET idle_in_transaction_session_timeout = {IDLE_TIMEOUT_MS}"
)
"""The SQL that sets the server's time limits, executed on each new connection to Postgres unless a pooler shares it between clients."""
_NOT_OPENED: Final = f"The database cannot be reached: no connection was opened within {CONNECT_SECONDS:.0f} s."


class DatabaseLostError(OSError):
    """The database did not answer in time, or ended the connection, which is discarded. The statement may have been executed all the same."""


class LimitedPostgres(asyncpg.Connection):  # type: ignore[misc] # asyncpg ships no types
    """A connection to Postgres whose time limit can be changed, and which also limits the one wait that asyncpg's `command_timeout` leaves out."""

    _config: Any

    def limit(self, seconds: float | None) -> None:
        """Set how many seconds each command may take from now on; None for no limit."""
        self._config = self._config._replace(command_timeout=seconds)

    async def _cleanup_stmts(self) -> None:
        async with asyncio.timeout(self._config.command_timeout):
            await super()._cleanup_stmts()


async def open_postgres(*args: Any, **options: Any) -> "asyncpg.Connection":
    """Connect like `asyncpg.connect` within CONNECT_SECONDS, and set the server's limits for statements and locks. Raises OSError or asyncpg's errors."""
    return await _open_postgres(SESSION_LIMITS, *args, **options)


async def open_pooled_postgres(*args: Any, **options: Any) -> "asyncpg.Connection":
    """Connect through a pooler in transaction mode, where no session setting may be changed, within CONNECT_SECONDS.

    Raises OSError or asyncpg's errors.
    """
    return await _open_postgres("", *args, **options)


async def _open_postgres(first: str, *args: Any, **options: Any) -> "asyncpg.Connection":
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await asyncpg.connect(*args, connection_class=LimitedPostgres, **options)
            if first:
                await connection.execute(first)
    except TimeoutError:
        raise DatabaseLostError(_NOT_OPENED) from None
    _keep_alive(connection)
    return connection


def _keep_alive(connection: "asyncpg.Connection") -> None:
    transport = getattr(connection, "_transport", None)  # asyncpg has no public attribute for it
    original = None if transport is None else transport.get_extra_info("socket")
    if original is None or original.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    # The event loop may hide the socket behind a proxy without options; a duplicate of its descriptor has them.
    with socket.socket(original.family, socket.SOCK_STREAM, fileno=os.dup(original.fileno())) as duplicate:
        for name, level, value in _KEEPALIVE:
            if hasattr(socket, name):  # systems differ
                duplicate.setsockopt(level, getattr(socket, name), value)


class LimitedSqlite(aiosqlite.Connection):
    """A connection to SQLite in a thread, as aiosqlite runs it, with a time limit for each call.

    A thread cannot be ended from outside: after a call exceeds the limit the connection is abandoned, and its thread ends with the process
    at the latest.
    """

    is_stuck = False
    """Whether a call exceeded the limit, so that the connection is abandoned."""
    seconds: float | None = SQLITE_SECONDS

    def limit(self, seconds: float | None) -> None:
        """Set how many seconds each call may take from now on; None for no limit."""
        self.seconds = seconds if seconds is None else SQLITE_SECONDS

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        if self.is_stuck:
            raise sqlite3.OperationalError("connection closed")
        try:
            async with asyncio.timeout(self.seconds):
                return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call] # aiosqlite leaves it untyped
        except TimeoutError:
            self.abort()
            raise

    async def close(self) -> None:
        """Close the connection in an orderly way; if it was abandoned, do not wait for it."""
        if not self.is_stuck:
            await super().close()

    def abort(self) -> None:
        """Abandon the connection at once; a running statement is interrupted."""
        if self.is_stuck:
            return
        self.is_stuck = True
        opened, self._connection = self._connection, None
        if opened is not None:
            opened.interrupt()
            self._tx.put_nowait((None, opened.close))
        self.stop()


async def open_sqlite(database: str, **options: Any) -> LimitedSqlite:
    """Open a SQLite database like `aiosqlite.connect`, within CONNECT_SECONDS. Raises sqlite3.Error or DatabaseLostError."""
    connection = LimitedSqlite(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)
    connection._thread.daemon = True
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await connection
    except TimeoutError:
        raise DatabaseLostError(_NOT_OPENED) from None
    return connection
