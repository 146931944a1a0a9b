"""Keep dead connections out of an engine's pool."""

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from typing import Any, Final

import asyncpg
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from kit.db.drivers import CLOSE_SECONDS, DatabaseLostError, LimitedSqlite

READ_ONLY: Final = "25006"
"""SQLSTATE of a write that a standby, or a read-only server, refuses."""
_DISK_FULL: Final = "53100"
_OPENED_AT: Final = "opened_at"


class PoolHealth:
    """Decides which connections of an engine's pool may still be used, and discards the others."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._opened_after = 0.0
        self.write_refusal: str | None = None
        """Why a statement was refused, if the reason concerns all writes (`read only`, `no space left`); None if none was refused since it was reset."""
        for name, listener in (
            ("handle_error", self._on_error),
            ("connect", self._on_connect),
            ("checkout", self._on_checkout),
            ("close", self._on_close),
        ):
            sa.event.listen(engine.sync_engine, name, listener)

    def renew(self) -> None:
        """Discard all connections that are open now: each is replaced when it is next requested from the pool."""
        self._opened_after = time.monotonic()

    def lost(self, error: BaseException, driver: Any, info: Mapping[Any, Any] | None) -> DatabaseLostError | None:
        """Handle an error of a driver's connection. Return the error to raise instead if the connection is lost; None if it is still usable.

        A lost connection is aborted at once, and all that were opened before are replaced. `info` is the pool's record of this connection.
        """
        if (refusal := _refusal(error)) is not None:
            self.write_refusal = refusal
        timed_out = isinstance(error, TimeoutError)
        if not timed_out and not _is_unusable(error, driver):
            return None
        _abort(driver)
        if not self._is_old(info):
            self.renew()
        return DatabaseLostError("The database did not answer in time." if timed_out else str(error))

    async def close(self) -> None:
        """Close the idle connections; those that do not close within CLOSE_SECONDS are aborted."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._engine.dispose()
        except TimeoutError:
            self.renew()
            await self._engine.dispose()

    def _is_old(self, info: Mapping[Any, Any] | None) -> bool:
        # On the monotonic clock: with the wall clock set back, every new connection would look old.
        opened: float = (info or {}).get(_OPENED_AT, 0.0)
        return opened < self._opened_after

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
        record.record_info[_OPENED_AT] = time.monotonic()

    def _on_checkout(self, _connection: Any, record: Any, _proxy: Any) -> None:
        if self._is_old(record.record_info):
            raise sa.exc.DisconnectionError

    def _on_close(self, connection: Any, record: Any) -> None:
        # Closing in an orderly way waits for the server, two seconds for each connection that does not answer.
        if self._is_old(record.record_info):
            _abort(connection.driver_connection)


def _refusal(error: BaseException) -> str | None:
    state = str(getattr(error, "sqlstate", None) or "")
    if state == READ_ONLY or getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
        return "read only"
    if state == _DISK_FULL or getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
        return "no space left"
    return None


def _is_unusable(error: BaseException, driver: Any) -> bool:
    """Return whether a connection must not be used again, although no time limit was exceeded."""
    if str(getattr(error, "sqlstate", None) or "") == READ_ONLY:
        return True
    if isinstance(driver, asyncpg.Connection):
        # "another operation is in progress": its last use was cancelled and has not ended.
        return driver.is_closed() or "another operation" in str(error)
    return isinstance(driver, LimitedSqlite) and driver.is_stuck


def _abort(driver: Any) -> None:
    if isinstance(driver, asyncpg.Connection):
        if not driver.is_closed():
            driver.terminate()
    elif isinstance(driver, LimitedSqlite):
        driver.abort()
