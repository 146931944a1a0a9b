"""Alarms are raised from anywhere, stored once, shared by processes, and cleared by any of them."""

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from kit.alarms import service as alarms_service
from kit.alarms.alarms import Alarms
from kit.alarms.model import Definition, Ends, Severity
from kit.db.database import Database
from kit.heartbeats import service as heartbeats_service
from tests.support.clocks import ManualClock
from tests.support.waiting import eventually

CATALOG = {
    definition.name: definition
    for definition in (
        Definition("tank.empty", Severity.PAGE, Ends.CONDITION, "A tank is empty."),
        Definition("tank.broke", Severity.PAGE, Ends.EVENT, "A tank broke.", expires=timedelta(days=7)),
        Definition("engine.hot", Severity.TICKET, Ends.CONDITION, "An engine is hot.", per_process=True),
    )
}


class Machine:
    """One process of the service."""

    def __init__(self, database: Database, clock: ManualClock, process: str = "one") -> None:
        self.registry = CollectorRegistry()
        self.alarms = Alarms(database, clock, CATALOG, process=process, registry=self.registry, prefix="test")

    def gauge(self, name: str) -> float | None:
        return self.registry.get_sample_value("test_alarm_active", {"alarm": name})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def stored(database: Database) -> list[tuple[str, str]]:
    async with database.read() as conn:
        return sorted((alarm.name, alarm.subject) for alarm in await alarms_service.list_active(conn))


async def test_an_alarm_is_logged_and_stored_once_while_it_lasts(database: Database, clock: ManualClock) -> None:
    one = Machine(database, clock)
    assert one.gauge("tank.empty") == 0
    with capture_logs() as logs:
        assert one.alarms.raise_alarm("tank.empty", "left", litres=0, key="https://a.example/secret")
        assert not one.alarms.raise_alarm("tank.empty", "left", litres=0)
        one.alarms.raise_alarm("tank.empty", "right")
        await one.alarms.sync()
    assert [(line["event"], line["log_level"], line["subject"]) for line in logs] == [
        ("tank.empty", "critical", "left"),
        ("tank.empty", "critical", "right"),
    ]
    assert one.gauge("tank.empty") == 2
    async with database.read() as conn:
        (facts,) = [alarm.facts for alarm in await alarms_service.list_active(conn) if alarm.subject == "left"]
    assert facts == {"litres": 0, "key": "https://a.example/[redacted]"}
    one.alarms.clear("tank.empty", "left")
    assert one.gauge("tank.empty") == 1
    await one.alarms.sync()
    assert await stored(database) == [("tank.empty", "right")]
    with capture_logs() as logs:
        one.alarms.raise_alarm("tank.empty", "left")
    assert len(logs) == 1, "it came back"


async def test_processes_share_an_alarm_and_any_of_them_clears_it(database: Database, clock: ManualClock) -> None:
    one, two = Machine(database, clock), Machine(database, clock, "two")
    one.alarms.raise_alarm("tank.empty", "left")
    two.alarms.raise_alarm("tank.empty", "left")
    await one.alarms.sync()
    await two.alarms.sync()
    assert await stored(database) == [("tank.empty", "left")]
    await one.alarms.sync()
    two.alarms.clear("tank.empty", "left")
    await two.alarms.sync()
    await one.alarms.sync()
    assert await stored(database) == [] and one.gauge("tank.empty") == 0
    assert one.alarms.raise_alarm("tank.empty", "left"), "a condition that was ended elsewhere is raised again"


async def test_a_new_process_clears_what_an_earlier_one_raised(database: Database, clock: ManualClock) -> None:
    one = Machine(database, clock)
    one.alarms.raise_alarm("tank.empty", "left")
    await one.alarms.sync()
    clock.advance(60)
    restarted = Machine(database, clock, "two")
    restarted.alarms.clear("tank.empty", "left")  # before it has read anything
    await restarted.alarms.sync()
    await restarted.alarms.sync()
    assert await stored(database) == []


async def test_a_clear_is_not_applied_to_an_alarm_that_was_raised_later(database: Database, clock: ManualClock) -> None:
    one, two = Machine(database, clock), Machine(database, clock, "two")
    two.alarms.clear("tank.empty", "left")
    clock.advance(1)
    one.alarms.raise_alarm("tank.empty", "left")
    await one.alarms.sync()
    await two.alarms.sync()
    await two.alarms.sync()
    assert await stored(database) == [("tank.empty", "left")]


async def test_what_is_raised_while_the_database_is_away_is_stored_later(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Machine(database, clock)

    def away() -> None:
        raise OperationalError("the database", None, OSError("away"))

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", away)
        raised_at = clock.now()
        one.alarms.raise_alarm("tank.empty", "left", litres=1)
        one.alarms.raise_alarm("tank.empty", "right")
        with pytest.raises(OperationalError):
            await one.alarms.sync()
        one.alarms.clear("tank.empty", "right")
        clock.advance(30)
        assert one.gauge("tank.empty") == 1
        with pytest.raises(OperationalError):
            await one.alarms.sync()
    await one.alarms.sync()
    async with database.read() as conn:
        alarms = await alarms_service.page(conn, limit=10)
    assert {(alarm.subject, alarm.raised_at, alarm.ended_by) for alarm in alarms} == {
        ("left", raised_at, None),
        ("right", raised_at, "cleared"),
    }


async def test_the_loop_writes_at_once_and_after_a_failure(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Machine(database, ManualClock())
    written = asyncio.Event()
    one.alarms.stored = written.set
    one.alarms.start()
    try:
        one.alarms.raise_alarm("tank.empty", "left")
        async with asyncio.timeout(5):
            await written.wait()
        assert await stored(database) == [("tank.empty", "left")]
        one.alarms.clear("tank.empty", "left")
        await eventually(lambda: one.gauge("tank.empty") == 0 and not one.alarms.active())
    finally:
        one.alarms.raise_alarm("tank.broke", "left")
        await one.alarms.stop()
    assert await stored(database) == [("tank.broke", "left")], "a stop writes what is left"


async def test_an_alarm_in_a_transaction_lives_and_dies_with_it(database: Database, clock: ManualClock) -> None:
    one = Machine(database, clock)
    with pytest.raises(ZeroDivisionError):
        async with database.write() as conn:
            assert await one.alarms.raise_in(conn, "tank.empty", "left", clock.now())
            raise ZeroDivisionError
    await one.alarms.sync()
    assert await stored(database) == []
    async with database.write() as conn:
        assert await one.alarms.raise_in(conn, "tank.empty", "left", clock.now(), litres=2**70)
        assert not await one.alarms.raise_in(conn, "tank.empty", "left", clock.now())
    assert not one.alarms.raise_alarm("tank.empty", "left"), "this process has raised it already"
    async with database.read() as conn:
        (alarm,) = await alarms_service.list_active(conn)
    assert alarm.facts == {"litres": str(2**70)}


async def test_an_event_ends_by_acknowledgement_and_stays_known(database: Database, clock: ManualClock) -> None:
    one = Machine(database, clock)
    one.alarms.raise_alarm("tank.broke", "left")
    one.alarms.raise_alarm("tank.empty", "left")
    await one.alarms.sync()
    async with database.write() as conn:
        by_name = {alarm.name: alarm for alarm in await alarms_service.list_active(conn)}
        ended = await alarms_service.acknowledge(conn, by_name["tank.broke"].id, CATALOG, "key_1", clock.now())
        lasting = await alarms_service.acknowledge(conn, by_name["tank.empty"].id, CATALOG, "key_1", clock.now())
        assert await alarms_service.acknowledge(conn, by_name["tank.broke"].id, CATALOG, "key_1", clock.now()) is None
    assert ended is not None and ended.ended_by == "key_1"
    assert lasting is not None and lasting.ended_at is None and lasting.acknowledged_by == "key_1"
    await one.alarms.sync()
    assert await stored(database) == [("tank.empty", "left")]
    assert not one.alarms.raise_alarm("tank.broke", "left"), "code that repeats it in each step says nothing new"


async def test_an_event_expires(database: Database, clock: ManualClock) -> None:
    one = Machine(database, clock)
    one.alarms.raise_alarm("tank.broke", "left")
    one.alarms.raise_alarm("tank.empty", "left")
    await one.alarms.sync()
    for days, expected in ((6, []), (1, ["tank.broke"])):
        clock.advance(days * 86400)
        async with database.write() as conn:
            active = await alarms_service.list_active(conn)
            ended = await alarms_service.end_expired(conn, CATALOG.values(), active, clock.now())
        assert [alarm.name for alarm in ended] == expected
        assert all(alarm.ended_by == "expired" for alarm in ended)


async def test_the_alarm_of_a_process_names_it_and_ends_with_its_heartbeat(
    database: Database, clock: ManualClock
) -> None:
    one, two = Machine(database, clock, "host-1"), Machine(database, clock, "host-2")
    for machine in (one, two):
        machine.alarms.raise_alarm("engine.hot", "pump")
        await machine.alarms.sync()
    assert await stored(database) == [("engine.hot", "host-1/pump"), ("engine.hot", "host-2/pump")]
    two.alarms.clear("engine.hot", "pump")
    await two.alarms.sync()
    assert await stored(database) == [("engine.hot", "host-1/pump")]
    async with database.write() as conn:
        await heartbeats_service.beat(conn, "host-1", {"pump": 0.0})
    clock.advance(120)
    async with database.write() as conn:
        active = await alarms_service.list_active(conn)
        alive = await heartbeats_service.alive_processes(conn, 60)
        assert await alarms_service.end_of_processes(conn, active, alive, clock.now()) == []
        await heartbeats_service.forget(conn, "host-1")
        alive = await heartbeats_service.alive_processes(conn, 60)
        (ended,) = await alarms_service.end_of_processes(conn, active, alive, clock.now())
    assert (ended.subject, ended.ended_by) == ("host-1/pump", "process_ended")


async def test_old_alarms_are_deleted_once_they_were_announced(database: Database, clock: ManualClock) -> None:
    one = Machine(database, clock)
    for subject in ("left", "right"):
        one.alarms.raise_alarm("tank.empty", subject)
    one.alarms.clear("tank.empty", "left")
    await one.alarms.sync()
    later = clock.now() + timedelta(days=1)
    async with database.write() as conn:
        assert await alarms_service.prune(conn, before=later, limit=10) == 0
        await conn.exec_driver_sql("UPDATE alarms SET announce_at = NULL")
        assert await alarms_service.prune(conn, before=later, limit=10) == 1
    assert await stored(database) == [("tank.empty", "right")]
