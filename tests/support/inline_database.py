"""SQLite in memory and in the test's own thread: the same SQL as the service runs, without a thread switch for each statement."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from kit.db.database import Database, T, metadata


class InlineConnection:
    """The part of `AsyncConnection` that the services use."""

    def __init__(self, conn: sa.Connection) -> None:
        self._connection = conn
        self.dialect = conn.dialect

    async def scalar(self, statement: Any, parameters: Any = None) -> Any:
        return (await self.execute(statement, parameters)).scalar()

    async def execute(self, statement: Any, parameters: Any = None) -> sa.CursorResult[Any]:
        return self._connection.execute(statement, parameters)

    async def exec_driver_sql(self, statement: str, parameters: Any = None) -> sa.CursorResult[Any]:
        return self._connection.exec_driver_sql(statement, parameters)


class InlineDriver:
    """The part of the driver's connection that `kit.db.atomic` uses."""

    def __init__(self, conn: Any) -> None:
        self._connection = conn

    async def execute(self, text: str) -> Any:
        return self._connection.execute(text)

    async def executemany(self, text: str, rows: Any) -> Any:
        return self._connection.executemany(text, rows)

    async def commit(self) -> None:
        self._connection.commit()

    async def rollback(self) -> None:
        self._connection.rollback()


class InlineDatabase(Database):
    """A database with one connection and one transaction at a time, which is SQLite's own limit for writers."""

    def __init__(self) -> None:
        self.dialect = "sqlite"
        self._engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool, connect_args={"isolation_level": None})
        metadata.create_all(self._engine)
        # A migration makes the trigger that keeps the ledger's totals; the tables alone have none.
        with self._engine.begin() as conn:
            conn.exec_driver_sql(import_module("onramp.migrations.versions.0027_ledger_totals").SQLITE_TRIGGER)
        self.engine = cast("AsyncEngine", self._engine)
        self._connection = self._engine.connect()
        self._inline = cast("AsyncConnection", InlineConnection(self._connection))
        self._listeners = []

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        yield self._inline

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        raw = self._connection.connection.dbapi_connection
        assert raw is not None
        cursor = raw.cursor()
        cursor.execute("BEGIN")
        try:
            yield self._inline
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
        cursor.execute("COMMIT")

    async def on_driver(self, work: Callable[[Any], Awaitable[T]]) -> T:
        return await work(InlineDriver(self._connection.connection.dbapi_connection))

    async def close(self) -> None:
        self._connection.close()
        self._engine.dispose()
