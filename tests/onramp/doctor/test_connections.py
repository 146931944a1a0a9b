"""The doctor compares the connections that all processes may open with what the server allows; the server shows whose they are."""

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from kit.heartbeats.service import beat
from onramp.bootstrap.container import Container, open_container
from onramp.bootstrap.identity import connection_name, role_of
from onramp.bootstrap.workers import WORKERS
from onramp.config.loader import load
from onramp.doctor.connections import connections
from onramp.ops.health import NotWellError


async def _beats(container: Container, *processes: str) -> None:
    async with container.database.write() as conn:
        for process in processes:
            await beat(conn, process, {"api": 0.0, "inbox": 0.0})


async def test_too_many_processes_for_the_server_are_named(postgres_url: str) -> None:
    settings = load(DATABASE_URL=SecretStr(postgres_url), DATABASE_POOL_SIZE=9)
    async with open_container(settings) as container:
        await _beats(container, "a", "b")
        assert (await connections(container)).startswith("2 processes may open 20 (DATABASE_POOL_SIZE 9), the server ")
        async with container.database.write() as conn:
            name = sa.engine.make_url(postgres_url).database
            await conn.exec_driver_sql(f'ALTER DATABASE "{name}" CONNECTION LIMIT 29')
        await _beats(container, "c")
        with pytest.raises(NotWellError, match=r"3 processes may open 30 .* allows 29, .* lower DATABASE_POOL_SIZE"):
            await connections(container)


async def test_the_pool_opens_no_more_than_its_size_and_the_server_shows_who_connects(postgres_url: str) -> None:
    settings = load(DATABASE_URL=SecretStr(postgres_url), DATABASE_POOL_SIZE=5)
    async with open_container(settings, role="work treasury") as container:
        assert container.database.engine.pool.size() + container.database.engine.pool._max_overflow == 5  # type: ignore[attr-defined]
        async with container.database.read() as conn:
            shown = await conn.scalar(sa.text("SELECT current_setting('application_name')"))
    assert shown == connection_name("work treasury")
    given = SecretStr(f"{postgres_url}&application_name=mine")
    async with open_container(load(DATABASE_URL=given)) as container, container.database.read() as conn:
        assert await conn.scalar(sa.text("SELECT current_setting('application_name')")) == "mine"


def test_a_role_names_the_workers_unless_all_run() -> None:
    assert role_of(WORKERS, WORKERS) == "work"
    assert role_of({"treasury", "inbox"}, WORKERS) == "work inbox,treasury"
    assert len(connection_name("work " + "x" * 100)) == 63
