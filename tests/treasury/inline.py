"""SQLite in memory, in the test's own thread: the same SQL through the same verbs, without a hop for each statement."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.database import Database, metadata


class InlineConnection:
    """As much of AsyncConnection as the verbs use."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect

    async def execute(self, statement: Any, parameters: Any = None) -> sa.CursorResult[Any]:
        return self._connection.execute(statement, parameters)

    async def exec_driver_sql(self, statement: str, parameters: Any = None) -> sa.CursorResult[Any]:
        return self._connection.exec_driver_sql(statement, parameters)


class InlineDatabase(Database):
    """One connection; a transaction at a time, as SQLite has it anyway."""

    def __init__(self) -> None:
        self.dialect = "sqlite"
        self._engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool, connect_args={"isolation_level": None})
        metadata.create_all(self._engine)
        self._connection = self._engine.connect()
        self._inline = cast("AsyncConnection", InlineConnection(self._connection))

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

    async def close(self) -> None:
        self._connection.close()
        self._engine.dispose()
