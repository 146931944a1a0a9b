"""The outbox worker plans each change once, in order, whatever fails in between."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.clock import SystemClock
from kit.db.database import Database
from kit.outbox import service as outbox_service
from kit.outbox.service import Change
from kit.outbox.table import changes
from kit.worker import WorkerContext, WorkerMetrics
from onramp.auth.api_keys.table import api_keys
from onramp.outbox.worker import BATCH, BURST, BURST_SECONDS, GATHER_SECONDS, IDLE_SECONDS, OutboxWorker

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Recorder:
    """Writes what it plans into a table, as every consumer does; `trouble` are the subjects that it fails at."""

    def __init__(self, name: str = "recorder", topics: Collection[str] = ("key",)) -> None:
        self.name = name
        self.topics = topics
        self.trouble: dict[str, BaseException] = {}
        self.batches: list[int] = []

    async def plan(self, conn: AsyncConnection, changes: Sequence[Change]) -> None:
        self.batches.append(len(changes))
        for change in changes:
            await conn.execute(
                sa.text("INSERT INTO planned (by_whom, subject) VALUES (:by, :subject)"),
                {"by": self.name, "subject": change.subject},
            )
            if change.subject in self.trouble:
                raise self.trouble[change.subject]


def worker_of(database: Database, *consumers: Recorder) -> OutboxWorker:
    context = WorkerContext(database, SystemClock(), WorkerMetrics(CollectorRegistry(), "onramp"), "tester")
    return OutboxWorker(context, consumers, lambda: None)


async def make_keys(database: Database, *ids: str) -> None:
    async with database.write() as conn:
        for key in ids:
            values: dict[str, Any] = {
                "id": key,
                "name": "n",
                "role": "viewer",
                "person": "bob",
                "created_at": NOW,
                "created_by": "x",
            }
            await conn.execute(sa.insert(api_keys).values(values))


@pytest.fixture
async def planned(database: Database) -> Database:
    async with database.write() as conn:
        await conn.execute(sa.text("CREATE TABLE planned (by_whom VARCHAR(20), subject VARCHAR(80))"))
        await outbox_service.subscribe(conn, "recorder", {"key"})
    return database


async def subjects(database: Database, by: str = "recorder") -> list[str]:
    async with database.read() as conn:
        rows = await conn.execute(sa.text("SELECT subject FROM planned WHERE by_whom = :by"), {"by": by})
        return [row.subject for row in rows]


async def drain(worker: OutboxWorker) -> None:
    while await worker.step():
        pass


async def test_each_consumer_gets_the_changes_of_its_topics_once_and_in_order(planned: Database) -> None:
    first, second, other = Recorder(), Recorder("second"), Recorder("other", ("session",))
    await make_keys(planned, *(f"key_{n:03}" for n in range(450)))
    await drain(worker_of(planned, first, second, other))
    assert await subjects(planned) == await subjects(planned, "second") == [f"key_{n:03}" for n in range(450)]
    assert first.batches == [200, 200, 50]
    assert other.batches == []


async def test_a_process_that_dies_before_the_commit_leaves_the_change_waiting(planned: Database) -> None:
    recorder = Recorder()
    recorder.trouble["key_1"] = asyncio.CancelledError()
    await make_keys(planned, "key_1")
    with pytest.raises(asyncio.CancelledError):
        await worker_of(planned, recorder).step()
    assert await subjects(planned) == []
    recorder.trouble.clear()
    await drain(worker_of(planned, recorder))
    assert await subjects(planned) == ["key_1"]


async def test_a_change_that_cannot_be_planned_is_parked_and_stops_no_other(planned: Database) -> None:
    recorder = Recorder()
    recorder.trouble["key_2"] = ValueError("personal data")
    await make_keys(planned, "key_1", "key_2", "key_3")
    worker = worker_of(planned, recorder)
    await drain(worker)
    assert await subjects(planned) == ["key_1", "key_3"]
    async with planned.read() as conn:
        assert (await outbox_service.backlog(conn))[0::2] == (0, 1)
        row = (await conn.execute(sa.select(changes))).one()
    assert (row.subject, row.parked_reason) == ("key_2", "ValueError")


async def test_two_workers_plan_each_change_once(planned: Database) -> None:
    ids = [f"key_{n:03}" for n in range(500)]
    await make_keys(planned, *ids)
    await asyncio.gather(drain(worker_of(planned, Recorder())), drain(worker_of(planned, Recorder())))
    assert sorted(await subjects(planned)) == ids


async def test_changes_that_follow_others_are_gathered_and_a_full_batch_is_not_waited_for(planned: Database) -> None:
    worker = worker_of(planned, Recorder())
    await make_keys(planned, *(f"key_{n:03}" for n in range(BATCH + 1)))
    assert await worker.step(), "more waits"
    assert not await worker.step()
    assert worker.interval == GATHER_SECONDS
    await make_keys(planned, *(f"key_later_{n:03}" for n in range(BURST)))
    assert not await worker.step()
    assert worker.interval == BURST_SECONDS
    assert not await worker.step()
    assert worker.interval == IDLE_SECONDS


async def test_without_a_subscriber_it_looks_less_often(database: Database) -> None:
    worker = worker_of(database)
    await worker.step()
    assert worker.interval == 2.0
    async with database.write() as conn:
        await outbox_service.subscribe(conn, "recorder", {"key"})
    await worker.step()
    assert worker.interval == 0.25
