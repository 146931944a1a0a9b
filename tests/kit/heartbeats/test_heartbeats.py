"""Heartbeats: what a process stores about its workers, and what others read from it."""

import asyncio
from collections.abc import Mapping

import sqlalchemy as sa

from kit.clock import SystemClock
from kit.db.database import Database
from kit.db.types import db_now
from kit.heartbeats import service as heartbeats_service
from kit.heartbeats.table import worker_heartbeats
from kit.heartbeats.writer import HeartbeatWriter


async def beat(database: Database, process: str, busy: Mapping[str, float]) -> None:
    async with database.write() as conn:
        await heartbeats_service.beat(conn, process, busy)


async def seen(database: Database) -> dict[str, heartbeats_service.WorkerSeen]:
    async with database.read() as conn:
        return await heartbeats_service.workers_seen(conn)


async def test_a_worker_that_no_process_ever_ran_is_not_seen(database: Database) -> None:
    await beat(database, "one", {"inbox": 0.0})
    assert set(await seen(database)) == {"inbox"}


async def test_a_process_without_workers_writes_nothing_and_learns_the_time(database: Database) -> None:
    async with database.write() as conn:
        assert (await heartbeats_service.beat(conn, "one", {})).tzinfo is not None
    assert await seen(database) == {}


async def test_a_worker_is_seen_in_every_process_that_runs_it_and_as_busy_as_the_least_busy(database: Database) -> None:
    await beat(database, "one", {"treasury": 200.9, "inbox": 3.0})
    await beat(database, "two", {"treasury": 4.2})
    await beat(database, "one", {"treasury": 205.0, "inbox": 0.0})
    found = await seen(database)
    assert (found["treasury"].processes, found["treasury"].busy_seconds) == (2, 4)
    assert (found["inbox"].processes, found["inbox"].busy_seconds) == (1, 0)
    assert found["treasury"].age_seconds < 10


async def test_a_worker_whose_heartbeats_ended_is_no_longer_present(database: Database) -> None:
    await beat(database, "one", {"treasury": 0.0})
    async with database.write() as conn:
        await conn.execute(sa.update(worker_heartbeats).values(seen_at=db_now(-60)))
    found = (await seen(database))["treasury"]
    assert not found.is_present
    assert 55 < found.age_seconds < 120


async def test_an_orderly_stop_removes_its_own_rows_and_those_of_yesterday(database: Database) -> None:
    for process in ("one", "two", "old"):
        await beat(database, process, {"inbox": 0.0})
    async with database.write() as conn:
        old = worker_heartbeats.c.process == "old"
        await conn.execute(sa.update(worker_heartbeats).where(old).values(seen_at=db_now(-2 * 86400)))
        await heartbeats_service.forget(conn, "one")
    async with database.read() as conn:
        assert (await conn.execute(sa.select(worker_heartbeats.c.process))).scalars().all() == ["two"]


async def test_the_pulse_beats_by_itself_and_measures_how_far_the_clocks_are_apart(database: Database) -> None:
    pulse = HeartbeatWriter(database, "one", lambda: {"inbox": 0.0}, SystemClock())
    pulse.start()
    async with asyncio.timeout(30):
        while pulse.last is None:
            await asyncio.sleep(0.02)
    assert abs(pulse.last.clock_offset) < 5
    assert (await seen(database))["inbox"].is_present
    await pulse.stop()
    assert await seen(database) == {}
