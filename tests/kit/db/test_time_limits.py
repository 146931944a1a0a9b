"""A database that falls silent: nothing waits for long, dead connections are thrown away, and new ones are used at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import pytest
import sqlalchemy as sa

import kit.db.engines
from kit.batching import DataLoader
from kit.db import drivers
from kit.db.atomic import execute_atomically
from kit.db.database import Database, connect, is_unavailable
from kit.db.drivers import CLOSE_SECONDS
from tests.support.login_nonces import nonces
from tests.support.tcp_relay import Relay

COMMAND_SECONDS, CONNECT_SECONDS = 2.0, 1.5
"""Shorter than in production, which one test keeps to."""
SLACK = 15.0
"""For a busy machine: what waits without a limit waits for ever."""


@pytest.fixture
async def relay(postgres_url: str) -> AsyncIterator[Relay]:
    made = Relay.to_postgres(postgres_url)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def database(relay: Relay, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(kit.db.engines, "COMMAND_SECONDS", COMMAND_SECONDS)
    monkeypatch.setattr(drivers, "CONNECT_SECONDS", CONNECT_SECONDS)
    opened = connect(relay.url(postgres_url))
    yield opened
    await opened.close()


async def one(database: Database) -> int:
    async with database.read() as conn:
        return int((await conn.execute(sa.text("SELECT 1"))).scalar_one())


async def warm(database: Database, count: int = 6) -> None:
    """Open `count` connections in the pool."""

    async def hold() -> None:
        async with database.read() as conn:
            await conn.execute(sa.text("SELECT pg_sleep(0.2)"))

    await asyncio.gather(*(hold() for _ in range(count)))


async def refused(database: Database, how: str) -> float:
    """Return how many seconds a use of the silent database took to fail."""
    started = time.monotonic()
    with pytest.raises(Exception) as caught:
        if how == "read":
            await one(database)
        elif how == "write":
            async with database.write() as conn:
                await conn.execute(sa.text("SELECT 1"))
        elif how == "alone":
            await database.autocommit("SELECT 1")
        else:
            await execute_atomically(database, [nonces(database, "one")])
    assert is_unavailable(caught.value), caught.value
    return time.monotonic() - started


@pytest.mark.parametrize("how", ["read", "write", "alone", "together"])
async def test_one_answer_is_waited_for_and_then_every_old_connection_is_replaced(
    relay: Relay, database: Database, how: str
) -> None:
    await warm(database)
    relay.silence(new=False)
    assert await refused(database, how) < COMMAND_SECONDS + SLACK
    started = time.monotonic()
    for _ in range(6):
        assert await one(database) == 1
    assert await asyncio.gather(*(one(database) for _ in range(6))) == [1] * 6
    assert time.monotonic() - started < SLACK


async def test_the_limits_of_production_are_those(relay: Relay, postgres_url: str) -> None:
    database = connect(relay.url(postgres_url))
    await one(database)
    relay.silence(new=False)
    assert 5 < await refused(database, "read") < 10 + SLACK
    assert await one(database) == 1
    await database.close()


@pytest.mark.parametrize("how", ["read", "alone"])
async def test_a_database_that_accepts_no_connection_is_waited_for_until_the_connect_timeout(
    relay: Relay, database: Database, how: str
) -> None:
    await warm(database, 1)
    relay.silence(new=True)
    await refused(database, how)
    assert await refused(database, how) < CONNECT_SECONDS + SLACK
    relay.heal()
    assert await one(database) == 1


async def test_a_commit_that_is_not_answered_is_given_up(relay: Relay, database: Database) -> None:
    started = time.monotonic()
    with pytest.raises(OSError, match="in time"):
        async with database.write() as conn:
            await conn.execute(sa.text("SELECT 1"))
            relay.silence(new=False)
    assert time.monotonic() - started < COMMAND_SECONDS + SLACK
    assert await one(database) == 1


async def test_a_question_that_was_broken_off_leaves_no_busy_connection_behind(
    relay: Relay, database: Database
) -> None:
    await database.autocommit("SELECT 1")
    relay.silence(new=False)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await database.autocommit("SELECT 1")
    started = time.monotonic()
    assert list((await database.autocommit("SELECT 1"))[0]) == [1]
    assert time.monotonic() - started < SLACK


async def test_reads_that_share_a_query_fail_together_and_not_one_after_the_other(
    relay: Relay, database: Database
) -> None:
    async def read(keys: Sequence[int]) -> dict[int, int]:
        await one(database)
        return {key: key for key in keys}

    gather = DataLoader(read)
    assert await gather.get(1) == 1
    relay.silence(new=True)
    started = time.monotonic()
    answers = await asyncio.gather(*(gather.get(key) for key in range(50)), return_exceptions=True)
    assert all(isinstance(answer, Exception) and is_unavailable(answer) for answer in answers)
    assert time.monotonic() - started < COMMAND_SECONDS + SLACK
    relay.heal()
    assert await gather.get(2) == 2


async def test_closing_is_short_whatever_is_silent(relay: Relay, database: Database) -> None:
    await warm(database)
    relay.silence(new=True)
    started = time.monotonic()
    await database.close()
    assert time.monotonic() - started < CLOSE_SECONDS + SLACK


async def test_the_clock_of_the_machine_may_be_set_back_while_connections_are_replaced(
    relay: Relay, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await warm(database, 2)
    relay.silence(new=False)
    await refused(database, "read")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 600)
    before = relay.made
    for _ in range(5):
        assert await one(database) == 1
    assert relay.made - before <= 2


async def test_a_call_of_sqlite_that_does_not_end_is_given_up(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers.LimitedSqlite, "seconds", 0.5)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    database = connect(sqlite_url)
    for ask in (lambda: one_of(database, endless), lambda: database.autocommit(endless)):
        with pytest.raises(OSError, match="in time"):
            await ask()
        assert await one(database) == 1
    await database.close()


async def one_of(database: Database, statement: str) -> None:
    async with database.read() as conn:
        await conn.execute(sa.text(statement))
