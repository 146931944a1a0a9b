"""One engine for the service: reads that begin nothing heavy, writes that begin at once and commit at the end.

Read-modify-write loses updates silently on both databases, so nobody does it: see `kit.db.cas`. On SQLite a
transaction that reads first and writes later fails at once when another wrote in between, and no busy timeout helps; a writing
transaction therefore begins IMMEDIATE (https://www.sqlite.org/lang_transaction.html).
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import AdaptedConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import greenlet_spawn

from kit.db.drivers import COMMAND_SECONDS, Connections, LimitedPostgres, LimitedSqlite
from kit.db.engines import SQLITE_POOL_SIZE, is_in_memory, postgres_engine, sqlite_engine
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
"""The tables of every floor; each room adds its own."""

DATABASE_ERRORS: Final = (OSError, SQLAlchemyError)
"""What is raised where the database cannot be reached, or refuses."""
_UNWELL: Final = frozenset({"08", "53", "57", "58"})
"""Classes of SQLSTATE: connection exception, insufficient resources (a full disk), operator intervention, an error of the system."""
_REFUSED: Final = frozenset({"25006", "55P03", "40001", "40P01"})
"""Read only, a lock that lasts, serialization failure, deadlock: nothing was done, and trying again may help."""
_SQLITE_AWAY: Final = frozenset({5, 6, 8, 10, 13, 14})
"""Busy, locked, read only, I/O error, full, cannot be opened; https://www.sqlite.org/rescode.html."""
POOL_SIZE = 10
"""Connections that are kept open to Postgres, and as many more while all of them are in use."""

REPLICA_SECONDS: Final = 2.0
"""How long the replica is waited for before the primary is read in its place."""
REPLICA_REST_SECONDS: Final = 10.0


def is_away(error: BaseException) -> bool:
    """Whether the database cannot be reached or used now; False for a statement that is wrong, which is our fault.

    While connecting, the drivers raise their own errors; later SQLAlchemy wraps them.
    """
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _is_unwell(error.orig)
    return isinstance(error, OSError | PoolTimeoutError) or _is_unwell(error)


def _is_unwell(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_AWAY
    state = str(getattr(error, "sqlstate", None) or "")
    return state[:2] in _UNWELL or state in _REFUSED


def reason_of(error: Exception) -> str:
    """What the database said, in one line: without the statement and its values, which SQLAlchemy adds."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0]


class Database:
    """The engine, with one door for reading and one for writing."""

    def __init__(
        self,
        engine: AsyncEngine,
        replica: AsyncEngine | None = None,
        single: Callable[[], AsyncEngine] | None = None,
        *,
        pooled: bool = False,
    ) -> None:
        """Keep the engines; `connect` makes them. `single` makes one more for the primary, of one connection."""
        self.engine = engine
        self.is_pooled = pooled
        self._connections = Connections(engine)
        self._replica_connections = None if replica is None else Connections(replica)
        self._make_single = single
        self._replica = replica
        self._replica_rests_until = 0.0
        self.dialect: Literal["sqlite", "postgresql"] = "sqlite" if engine.dialect.name == "sqlite" else "postgresql"
        # The same pool under another name: set here once, the option costs nothing at each use.
        self._single = (
            engine.execution_options(isolation_level="AUTOCOMMIT") if self.dialect == "postgresql" else engine
        )

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection on the primary that must not write; every statement stands alone."""
        async with self._single.connect() as conn:
            yield conn

    async def alone(self, statement: str, *parameters: Any) -> Sequence[Any]:
        """One writing statement that is its own transaction: durable when it returns, and one round trip instead of three.

        The text is the driver's (`$1` on Postgres, `?` on SQLite); the rows are the driver's, too.
        """
        sqlite = self.dialect == "sqlite"

        async def ask(driver: Any) -> Sequence[Any]:
            rows: Sequence[Any] = await (
                driver.execute_fetchall(statement, parameters) if sqlite else driver.fetch(statement, *parameters)
            )
            return rows

        return await self.on_driver(ask)

    async def on_driver(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run `work` on the driver's own connection; no transaction is open on it before or after."""

        # Taken, used and given back in one greenlet, without SQLAlchemy's connection: its overhead is more than the statement costs.
        def lend() -> T:
            lent = self.engine.sync_engine.raw_connection()
            try:
                conn = lent.dbapi_connection
                assert isinstance(conn, AdaptedConnection)
                return conn.run_async(work)
            except BaseException as error:
                lost = self._connections.lost(error, lent.driver_connection, lent.record_info)
                # One that was broken off in the middle, as by a request's own limit, is still busy with its last statement.
                if lost is not None or not isinstance(error, Exception):
                    lent.invalidate(error)
                if lost is not None:
                    raise lost from error
                raise
            finally:
                # Given back even where the request is cancelled, or the pool would run dry.
                lent.close()

        return await greenlet_spawn(lend)

    @property
    def refusing(self) -> str | None:
        """Why the database refused a write lately (`read only`, `no space left`); None where none was refused since `takes_writes`."""
        return self._connections.refusing

    def takes_writes(self) -> None:
        """Note that a write of some size was stored just now."""
        self._connections.refusing = None

    @property
    def has_replica(self) -> bool:
        """Whether a replica is configured."""
        return self._replica is not None

    @asynccontextmanager
    async def read_replica(self) -> AsyncIterator[AsyncConnection]:
        """A connection that may lag: for lists only, never for alarms or for what money or a worker decides on.

        The primary in its place where the replica does not answer, which is then not asked again for REPLICA_REST_SECONDS.
        """
        async with AsyncExitStack() as stack:
            conn = None
            if self._replica is not None and time.monotonic() >= self._replica_rests_until:
                try:
                    conn = await self._ask_replica(stack)
                except (OSError, SQLAlchemyError) as error:
                    self._replica_rests_until = time.monotonic() + REPLICA_REST_SECONDS
                    log.warning("database.replica_away", reason=reason_of(error) or "no answer in time")
            yield await stack.enter_async_context(self.read()) if conn is None else conn

    async def _ask_replica(self, stack: AsyncExitStack) -> AsyncConnection:
        assert self._replica is not None
        async with asyncio.timeout(REPLICA_SECONDS), AsyncExitStack() as opening:
            conn = await opening.enter_async_context(self._replica.connect())
            await conn.execution_options(isolation_level="AUTOCOMMIT")
            await conn.execute(sa.text("SELECT 1"))
            await stack.enter_async_context(opening.pop_all())
        return conn

    async def ask_both(self, query: sa.Select[Any]) -> tuple[Any, Any]:
        """The one value that a query answers on the primary and on the replica. Raises what the databases raise."""
        async with AsyncExitStack() as stack:
            conn = await self._ask_replica(stack)
            there = await conn.scalar(query)
        async with self.read() as conn:
            return await conn.scalar(query), there

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end, rolled back when the block raises."""
        async with self.engine.connect() as conn:
            if self.dialect == "sqlite":
                await conn.execution_options(onramp_writes=True)
            async with conn.begin():
                yield conn

    def apart(self) -> "Database":
        """The same database over one connection of its own, to be closed by the caller; this one itself where it lies in memory."""
        return self if self._make_single is None else Database(self._make_single(), pooled=self.is_pooled)

    @asynccontextmanager
    async def patient(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose commands may take as long as they need, within the server's own limits: for migrations alone."""
        async with self.engine.connect() as conn:
            driver = (await conn.get_raw_connection()).driver_connection
            assert isinstance(driver, LimitedPostgres | LimitedSqlite)
            driver.limit(None)
            try:
                yield conn
            finally:
                driver.limit(COMMAND_SECONDS)

    async def close(self) -> None:
        """Give every connection back, within a few seconds even where the database is silent."""
        await self._connections.close()
        if self._replica_connections is not None:
            await self._replica_connections.close()


def connect(url: str, *, replica_url: str | None = None, pooled: bool = False) -> Database:
    """Make the engine for `url`; nothing is opened until it is used. Raises ValueError for a database we do not speak.

    `pooled`: a pooler in transaction mode stands before the server, which a URL may also say itself (`pgbouncer=true`).
    """
    target = parse_url(url)
    pooled = pooled or target.pooled

    def engine(target: Target, size: int, overflow: int) -> AsyncEngine:
        return postgres_engine(target, size, overflow, pooled=pooled)

    if target.is_sqlite:
        single = None if is_in_memory(target.url) else lambda: sqlite_engine(target.url, 1)
        return Database(sqlite_engine(target.url, SQLITE_POOL_SIZE), single=single)
    replica = engine(parse_url(replica_url), POOL_SIZE, POOL_SIZE) if replica_url else None
    return Database(engine(target, POOL_SIZE, POOL_SIZE), replica, lambda: engine(target, 1, 0), pooled=pooled)
