"""The database: connections for reading, and transactions for writing.

Read-modify-write silently loses updates on both databases; use `kit.db.cas` instead. On SQLite, a transaction that reads first and writes
later fails at once, whatever the busy timeout, if another one wrote in between; a writing transaction therefore begins IMMEDIATE
(https://www.sqlite.org/lang_transaction.html).
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import AdaptedConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import greenlet_spawn

from kit.db import commit_notes
from kit.db.commit_notes import Listener
from kit.db.drivers import COMMAND_SECONDS, LimitedPostgres, LimitedSqlite
from kit.db.engines import SQLITE_POOL_SIZE, is_in_memory, postgres_engine, sqlite_engine
from kit.db.pool_health import PoolHealth
from kit.db.url import Target, parse_url
from kit.logs import get_logger

log = get_logger(__name__)
T = TypeVar("T")
metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""The tables of all layers; the `table.py` of each package adds its own."""

DATABASE_ERRORS: Final = (OSError, SQLAlchemyError)
"""The exceptions raised if the database cannot be reached, or refuses a statement."""
_UNAVAILABLE_CLASSES: Final = frozenset({"08", "53", "57", "58"})
"""Classes of SQLSTATE: connection exception, insufficient resources (such as a full disk), operator intervention, system error."""
_REFUSED: Final = frozenset({"25006", "55P03", "40001", "40P01"})
"""SQLSTATE of read only, lock timeout, serialization failure, deadlock. Nothing was done, and trying again may help."""
_SQLITE_UNAVAILABLE: Final = frozenset({5, 6, 8, 10, 13, 14})
"""SQLite's codes for busy, locked, read only, I/O error, full, cannot be opened; https://www.sqlite.org/rescode.html."""
POOL_SIZE: Final = 10
"""The most connections to Postgres that a process opens for its pool, by default: five processes fit the 100 connections of a default server."""

REPLICA_SECONDS: Final = 2.0
"""Seconds to wait for the replica before the primary is read instead."""
REPLICA_REST_SECONDS: Final = 10.0
"""Seconds during which the replica is not read after it failed, or was found to be far behind."""


def is_unavailable(error: BaseException) -> bool:
    """Return whether an error means that the database cannot be used now; False for an invalid statement, which is our own fault.

    While connecting, the drivers raise their own errors; later, SQLAlchemy wraps them.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(is_unavailable(single) for single in error.exceptions)
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _is_driver_unavailable(error.orig)
    return isinstance(error, OSError | PoolTimeoutError) or _is_driver_unavailable(error)


def _is_driver_unavailable(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_UNAVAILABLE
    state = str(getattr(error, "sqlstate", None) or "")
    return state[:2] in _UNAVAILABLE_CLASSES or state in _REFUSED


def reason_of(error: Exception) -> str:
    """Return the database's error message in one line, without the statement and its values, which SQLAlchemy appends."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0]


class Database:
    """The connections to one database: a primary, and possibly a read replica."""

    def __init__(
        self,
        engine: AsyncEngine,
        replica: AsyncEngine | None = None,
        single: Callable[[], AsyncEngine] | None = None,
        *,
        pooled: bool = False,
    ) -> None:
        """Use the engines that `connect` made. `single` makes another engine for the primary, with one connection; None for a database in memory.

        `pooled` says that a connection pooler in transaction mode is in front of the server.
        """
        self.engine = engine
        self.is_pooled = pooled
        self._pool = PoolHealth(engine)
        self._replica_pool = None if replica is None else PoolHealth(replica)
        self._make_single = single
        self._replica = replica
        self._replica_rests_until = 0.0
        self._listeners: list[Listener] = []
        self.dialect: Literal["sqlite", "postgresql"] = "sqlite" if engine.dialect.name == "sqlite" else "postgresql"
        # It uses the same pool. The option costs time on each connection, so it is set once.
        self._single = (
            engine.execution_options(isolation_level="AUTOCOMMIT") if self.dialect == "postgresql" else engine
        )

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection to the primary for reading. Each statement is a transaction of its own."""
        async with self._single.connect() as conn:
            yield conn

    async def autocommit(self, statement: str, *parameters: Any) -> Sequence[Any]:
        """Execute one writing statement in a transaction of its own, in one round trip instead of three. It is durable when this returns.

        Statement and returned rows are the driver's: parameters are `$1` on Postgres and `?` on SQLite.
        """
        sqlite = self.dialect == "sqlite"

        async def execute(driver: Any) -> Sequence[Any]:
            rows: Sequence[Any] = await (
                driver.execute_fetchall(statement, parameters) if sqlite else driver.fetch(statement, *parameters)
            )
            return rows

        return await self.on_driver(execute)

    async def on_driver(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run `work` on the driver's own connection. No transaction is open on it before or after."""

        # Borrowed, used and returned in one greenlet, without SQLAlchemy's connection, whose overhead exceeds the cost of the statement.
        def run() -> T:
            borrowed = self.engine.sync_engine.raw_connection()
            try:
                conn = borrowed.dbapi_connection
                assert isinstance(conn, AdaptedConnection)
                return conn.run_async(work)
            except BaseException as error:
                lost = self._pool.lost(error, borrowed.driver_connection, borrowed.record_info)
                # A connection whose use was cancelled, as by a request's time limit, is still busy with its last statement.
                if lost is not None or not isinstance(error, Exception):
                    borrowed.invalidate(error)
                if lost is not None:
                    raise lost from error
                raise
            finally:
                # Returned even if the request is cancelled; otherwise the pool would run out.
                borrowed.close()

        return await greenlet_spawn(run)

    @property
    def file(self) -> Path | None:
        """The file of a database on SQLite; None on Postgres, in memory, and if a URI names it."""
        path = str(self.engine.url.database)
        is_file = self.dialect == "sqlite" and not is_in_memory(self.engine.url) and not path.startswith("file:")
        return Path(path) if is_file else None

    @property
    def write_refusal(self) -> str | None:
        """Why the database refused a write (`read only`, `no space left`); None if it has refused none since the last `note_writable`."""
        return self._pool.write_refusal

    def note_writable(self) -> None:
        """Record that a write of some size has just succeeded, so `write_refusal` becomes None."""
        self._pool.write_refusal = None

    @property
    def has_replica(self) -> bool:
        """Whether a replica is configured."""
        return self._replica is not None

    @asynccontextmanager
    async def read_replica(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection whose data may lag: for lists only, never for alarms, workers, or decisions about money.

        If the replica does not answer, or was found to be far behind, the primary is read instead for REPLICA_REST_SECONDS.
        """
        async with AsyncExitStack() as stack:
            conn = None
            if self._replica is not None and time.monotonic() >= self._replica_rests_until:
                try:
                    conn = await self._connect_replica(stack)
                except (OSError, SQLAlchemyError) as error:
                    self.rest_replica()
                    log.warning("database.replica_unavailable", reason=reason_of(error) or "no answer in time")
            yield await stack.enter_async_context(self.read()) if conn is None else conn

    def rest_replica(self) -> None:
        """Read the primary in place of the replica for REPLICA_REST_SECONDS."""
        self._replica_rests_until = time.monotonic() + REPLICA_REST_SECONDS

    async def _connect_replica(self, stack: AsyncExitStack) -> AsyncConnection:
        assert self._replica is not None
        async with asyncio.timeout(REPLICA_SECONDS), AsyncExitStack() as opening:
            conn = await opening.enter_async_context(self._replica.connect())
            await conn.execution_options(isolation_level="AUTOCOMMIT")
            await conn.execute(sa.text("SELECT 1"))
            await stack.enter_async_context(opening.pop_all())
        return conn

    async def query_both(self, query: sa.Select[Any]) -> tuple[Any, Any]:
        """Return the single value of a query from the primary and from the replica, which must be configured. Raises the databases' errors."""
        async with AsyncExitStack() as stack:
            conn = await self._connect_replica(stack)
            replica = await conn.scalar(query)
        async with self.read() as conn:
            return await conn.scalar(query), replica

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection in a transaction, which is committed at the end, and rolled back if the block raises."""
        async with self.engine.connect() as conn:
            if self.dialect == "sqlite":
                await conn.execution_options(begin_immediate=True)
            commit_notes.begin(conn)
            facts: list[object] = []
            try:
                async with conn.begin():
                    yield conn
                facts = commit_notes.end(conn)
            finally:
                commit_notes.end(conn)
        self.committed(facts)

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with every fact that `kit.db.commit_notes.note` kept, after its transaction has committed."""
        self._listeners.append(listener)

    def committed(self, facts: Iterable[object]) -> None:
        """Report facts that are committed already; for statements that run outside `write`."""
        for fact in facts:
            for listener in self._listeners:
                listener(fact)

    def separate(self) -> "Database":
        """Return the same database over one connection of its own, which the caller closes; this object itself if it is in memory."""
        return self if self._make_single is None else Database(self._make_single(), pooled=self.is_pooled)

    @asynccontextmanager
    async def without_time_limits(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection whose commands only the server limits in time; migrations use it."""
        async with self.engine.connect() as conn:
            driver = (await conn.get_raw_connection()).driver_connection
            assert isinstance(driver, LimitedPostgres | LimitedSqlite)
            driver.limit(None)
            try:
                yield conn
            finally:
                driver.limit(COMMAND_SECONDS)

    async def close(self) -> None:
        """Close every connection, within a few seconds even if the database does not answer."""
        await self._pool.close()
        if self._replica_pool is not None:
            await self._replica_pool.close()


def connect(
    url: str, *, replica_url: str | None = None, pooled: bool = False, size: int = POOL_SIZE, name: str = ""
) -> Database:
    """Return the database at `url`; nothing is opened until it is used. Raises ValueError for an unsupported database.

    `pooled` says that a connection pooler in transaction mode is in front of the server; a URL may also say so (`pgbouncer=true`).
    `size` is the most connections of the pool to each Postgres, and `name` what the server shows as their `application_name`.
    """
    target = parse_url(url)
    pooled = pooled or target.pooled

    def engine(target: Target, size: int) -> AsyncEngine:
        return postgres_engine(target, size, pooled=pooled, name=name)

    if target.is_sqlite:
        single = None if is_in_memory(target.url) else lambda: sqlite_engine(target.url, 1)
        return Database(sqlite_engine(target.url, SQLITE_POOL_SIZE), single=single)
    replica = engine(parse_url(replica_url), size) if replica_url else None
    return Database(engine(target, size), replica, lambda: engine(target, 1), pooled=pooled)
