"""Connections that answer in time or are thrown away: a limit on each wait of the drivers, and no dead connection left in a pool.

Neither driver limits a wait by itself. A peer that acknowledges every packet and answers nothing (a load balancer or pooler whose
backend died) is never given up by the kernel either, so the limits here are the client's own.
"""

import asyncio
import os
import socket
import sqlite3
import time
from collections.abc import Mapping
from typing import Any, Final

import aiosqlite
import asyncpg
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

LOCK_TIMEOUT_MS: Final = 5_000
STATEMENT_TIMEOUT_MS: Final = 8_000
"""The server ends a statement after it, in order, before the client's own limit closes the connection."""
COMMAND_SECONDS: Final = 10.0
"""How long the client waits for the answer to one command, commit and rollback included."""
CONNECT_SECONDS: Final = 5.0
"""How long opening a connection may take, name resolution, TLS and login included."""
POOL_SECONDS: Final = 5.0
"""How long a free connection of the pool is waited for."""
CLOSE_SECONDS: Final = 2.0
"""How long an orderly end of all connections may take before they are cut."""
SQLITE_BUSY_MS: Final = 8_000
SQLITE_SECONDS: Final = 15.0
"""How long one call of SQLite may take: the wait for its lock, and a slow disk."""
READ_ONLY: Final = "25006"
"""SQLSTATE of a write that a standby, or a server set to read only, refuses."""
_DISK_FULL: Final = "53100"
_KEEPALIVE: Final = (
    ("SO_KEEPALIVE", socket.SOL_SOCKET, 1),
    ("TCP_KEEPIDLE", socket.IPPROTO_TCP, 10),
    ("TCP_KEEPINTVL", socket.IPPROTO_TCP, 5),
    ("TCP_KEEPCNT", socket.IPPROTO_TCP, 3),
    ("TCP_USER_TIMEOUT", socket.IPPROTO_TCP, 15_000),
)
"""A peer that is gone (no acknowledgement) is noticed by the kernel in 15 to 25 s, on a connection that idles, too; see tcp(7)."""

_LIMITS: Final = f"SET lock_timeout = {LOCK_TIMEOUT_MS}; SET statement_timeout = {STATEMENT_TIMEOUT_MS}"
_MADE: Final = "onramp_made"
_NOT_OPENED: Final = f"The database cannot be reached: no connection was opened within {CONNECT_SECONDS:.0f} s."


class DatabaseLostError(OSError):
    """The database did not answer in time, or ended the connection, which was thrown away. What was asked for may still have been done."""


class Connections:
    """Watches over the pool of one engine: which of its connections may still be used."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Begin to watch."""
        self._engine = engine
        self._made_after = 0.0
        self.refusing: str | None = None
        """What a statement was last refused for that all writes may be refused for (read only, no space); None where writes are taken."""
        for name, listener in (
            ("handle_error", self._on_error),
            ("connect", self._on_connect),
            ("checkout", self._on_checkout),
            ("close", self._on_close),
        ):
            sa.event.listen(engine.sync_engine, name, listener)

    def renew(self) -> None:
        """Use no connection any longer that is open now: each is replaced when it is next asked for."""
        self._made_after = time.monotonic()

    def lost(self, error: BaseException, driver: Any, info: Mapping[Any, Any] | None) -> DatabaseLostError | None:
        """Judge an error of the driver's own connection: what to raise in its place, None where the connection is well.

        A lost connection is cut at once, and all that are as old are renewed. `info` is the pool's, of this connection.
        """
        if (refusal := _refusal(error)) is not None:
            self.refusing = refusal
        silent = isinstance(error, TimeoutError)
        if not silent and not _is_unusable(error, driver):
            return None
        _cut(driver)
        if not self._is_old(info):
            self.renew()
        return DatabaseLostError("The database did not answer in time." if silent else str(error))

    async def close(self) -> None:
        """Close what is idle; whatever does not end within CLOSE_SECONDS is cut."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._engine.dispose()
        except TimeoutError:
            self.renew()
            await self._engine.dispose()

    def _is_old(self, info: Mapping[Any, Any] | None) -> bool:
        # On the monotonic clock: with the wall clock set back, every new connection would look old.
        made: float = (info or {}).get(_MADE, 0.0)
        return made < self._made_after

    def _on_error(self, context: ExceptionContext) -> Exception | None:
        connection = context.connection
        if connection is None or connection.closed or connection.invalidated:
            return None
        wrapper = connection.connection
        lost = self.lost(context.original_exception, wrapper.driver_connection, wrapper.record_info)
        if lost is None:
            return None
        context.is_disconnect, context.invalidate_pool_on_disconnect = True, False
        return None if context.sqlalchemy_exception is not None else lost

    def _on_connect(self, _connection: Any, record: Any) -> None:
        record.record_info[_MADE] = time.monotonic()

    def _on_checkout(self, _connection: Any, record: Any, _proxy: Any) -> None:
        if self._is_old(record.record_info):
            raise sa.exc.DisconnectionError

    def _on_close(self, connection: Any, record: Any) -> None:
        # An orderly end waits for an answer, two seconds for each connection that gives none.
        if self._is_old(record.record_info):
            _cut(connection.driver_connection)


def _refusal(error: BaseException) -> str | None:
    state = str(getattr(error, "sqlstate", None) or "")
    if state == READ_ONLY or getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
        return "read only"
    if state == _DISK_FULL or getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
        return "no space left"
    return None


def _is_unusable(error: BaseException, driver: Any) -> bool:
    """Whether the connection must not be used again, though no limit has passed."""
    if str(getattr(error, "sqlstate", None) or "") == READ_ONLY:
        return True
    if isinstance(driver, asyncpg.Connection):
        # "another operation is in progress": its last use was broken off, and has not come to an end.
        return driver.is_closed() or "another operation" in str(error)
    return isinstance(driver, LimitedSqlite) and driver.is_stuck


def _cut(driver: Any) -> None:
    if isinstance(driver, asyncpg.Connection):
        if not driver.is_closed():
            driver.terminate()
    elif isinstance(driver, LimitedSqlite):
        driver.cut()


class LimitedPostgres(asyncpg.Connection):  # type: ignore[misc] # asyncpg ships no types
    """A connection that limits the one wait which asyncpg's `command_timeout` leaves out, and whose limit can be changed."""

    _config: Any

    def limit(self, seconds: float | None) -> None:
        """How long each command may take from now on; None for any time."""
        self._config = self._config._replace(command_timeout=seconds)

    async def _cleanup_stmts(self) -> None:
        async with asyncio.timeout(self._config.command_timeout):
            await super()._cleanup_stmts()


async def open_postgres(*args: Any, **options: Any) -> "asyncpg.Connection":
    """Connect as `asyncpg.connect` does, within CONNECT_SECONDS, and limit statements and locks on the server. Raises OSError, or asyncpg's errors."""
    return await _open_postgres(_LIMITS, *args, **options)


async def open_pooled_postgres(*args: Any, **options: Any) -> "asyncpg.Connection":
    """Connect through a pooler in transaction mode, on whose server connections nothing may be set. Raises as `open_postgres`."""
    return await _open_postgres("", *args, **options)


async def _open_postgres(first: str, *args: Any, **options: Any) -> "asyncpg.Connection":
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await asyncpg.connect(*args, connection_class=LimitedPostgres, **options)
            if first:
                await connection.execute(first)
    except TimeoutError:
        raise DatabaseLostError(_NOT_OPENED) from None
    # The kernel notices a peer that is gone.
    _keep_alive(connection)
    return connection


def _keep_alive(connection: "asyncpg.Connection") -> None:
    transport = getattr(connection, "_transport", None)  # asyncpg shows it no other way
    known = None if transport is None else transport.get_extra_info("socket")
    if known is None or known.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    # A copy of the descriptor is a socket that takes options, whatever the event loop shows.
    with socket.socket(known.family, socket.SOCK_STREAM, fileno=os.dup(known.fileno())) as copied:
        for name, level, value in _KEEPALIVE:
            if hasattr(socket, name):  # each system has its own set
                copied.setsockopt(level, getattr(socket, name), value)


class LimitedSqlite(aiosqlite.Connection):
    """SQLite in a thread, as aiosqlite runs it, with a limit on each call.

    A thread cannot be ended from outside: a connection whose call passed the limit is given up, and its thread ends with the process
    at the latest.
    """

    is_stuck = False
    seconds: float | None = SQLITE_SECONDS

    def limit(self, seconds: float | None) -> None:
        """How long each call may take from now on; None for any time."""
        self.seconds = seconds if seconds is None else SQLITE_SECONDS

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        if self.is_stuck:
            raise sqlite3.OperationalError("connection closed")
        try:
            async with asyncio.timeout(self.seconds):
                return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call] # aiosqlite leaves it untyped
        except TimeoutError:
            self.cut()
            raise

    async def close(self) -> None:
        """Close in order; nothing is waited for once a call has passed its limit."""
        if not self.is_stuck:
            await super().close()

    def cut(self) -> None:
        """Give the connection up at once; a statement that runs is interrupted."""
        if self.is_stuck:
            return
        self.is_stuck = True
        opened, self._connection = self._connection, None
        if opened is not None:
            opened.interrupt()
            self._tx.put_nowait((None, opened.close))
        self.stop()


async def open_sqlite(database: str, **options: Any) -> LimitedSqlite:
    """Open as `aiosqlite.connect` does, within CONNECT_SECONDS. Raises sqlite3.Error or DatabaseLostError."""
    connection = LimitedSqlite(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)
    connection._thread.daemon = True
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await connection
    except TimeoutError:
        raise DatabaseLostError(_NOT_OPENED) from None
    return connection
