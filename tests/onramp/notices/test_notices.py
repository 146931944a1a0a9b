"""Notifications of alarms, at receivers that speak the wire protocols of Slack, Discord, PagerDuty and Standard Webhooks."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from aiohttp import web
from prometheus_client import CollectorRegistry
from standardwebhooks.webhooks import Webhook
from structlog.testing import capture_logs

from kit.alarms import service as alarms_service
from kit.alarms.model import LEVELS, Ends
from kit.audit.table import entries
from kit.db.database import Database
from kit.http.outbound import OutboundClient
from kit.http.outbound_urls import OutboundRules
from kit.notices.targets import parse_targets
from kit.worker import WorkerContext, WorkerMetrics
from onramp.alarms.catalog import ALARMS, CATALOG
from onramp.notices import service as notices_service
from onramp.notices.heartbeat import Heartbeat
from onramp.notices.senders import Senders
from onramp.notices.table import notices
from onramp.notices.worker import NoticesWorker
from tests.support.clocks import ManualClock
from tests.support.notice_receivers import Receivers, receiving

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
KEY = "a" * 32
BUYER = "0x00000000000000000000000000000000000b0b0b"


class World:
    """A service with a database, receivers and a clock that only the test moves."""

    def __init__(self, database: Database, receivers: Receivers) -> None:
        self.database = database
        self.receivers = receivers
        self.clock = ManualClock()
        self.workers: list[NoticesWorker] = []

    def worker(self, urls: str, owner: str = "one", heartbeat: str = "", needed: tuple[str, ...] = ()) -> NoticesWorker:
        http = OutboundClient(OutboundRules(development=True), seconds=5)
        metrics = WorkerMetrics(CollectorRegistry(), "onramp")
        worker = NoticesWorker(
            WorkerContext(self.database, self.clock, metrics, owner),
            parse_targets(urls.replace("HERE", self.receivers.url)),
            Senders(http, None),
            http,
            Heartbeat(heartbeat.replace("HERE", self.receivers.url), http, self.database, needed, self.clock),
            "https://ops.example/runbook",
        )
        self.workers.append(worker)
        return worker

    async def raise_alarm(self, name: str, subject: str, **facts: object) -> None:
        async with self.database.write() as conn:
            assert await alarms_service.raise_in(conn, name, subject, self.clock.now(), **facts)

    async def clear(self, name: str, subject: str) -> None:
        async with self.database.write() as conn:
            assert await alarms_service.clear(conn, [(name, subject)], self.clock.now())

    async def texts(self, path: str = "/slack") -> list[str]:
        return [body["text"] for body in self.receivers.bodies[path]]

    async def statuses(self) -> list[tuple[str, str, int]]:
        async with self.database.read() as conn:
            query = sa.select(notices).order_by(notices.c.created_at, notices.c.id)
            return [(row.target, row.status, row.attempts) for row in await conn.execute(query)]


async def run(worker: NoticesWorker) -> None:
    await worker.step()
    await worker.settle()


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with receiving() as receivers:
        made = World(database, receivers)
        yield made
        for worker in made.workers:
            await worker.stop()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_alarm_of_the_catalogue_is_seen_raised_and_ended(world: World) -> None:
    worker = world.worker(f"slack:HERE/slack?severity=info,pagerduty:{KEY}?severity=info&endpoint=HERE/pagerduty")
    for alarm in ALARMS:
        subject = f"sub_{alarm.name}"
        await world.raise_alarm(alarm.name, subject, session="ons_1", amount="99.50", to=BUYER)
        await run(worker)
        if alarm.ends is Ends.CONDITION:
            await world.clear(alarm.name, subject)
        else:
            async with world.database.write() as conn:
                (active,) = await alarms_service.list_active(conn)
                assert await alarms_service.acknowledge(conn, active.id, CATALOG, "key_1", world.clock.now())
        await run(worker)
        world.clock.advance(61)
    texts, events = await world.texts(), world.receivers.bodies["/pagerduty"]
    assert len(texts) == len(events) == 2 * len(ALARMS)
    for index, alarm in enumerate(ALARMS):
        raised, ended = texts[2 * index : 2 * index + 2]
        assert raised.startswith(f"[{alarm.severity.upper()}] {alarm.name} sub_{alarm.name}\n")
        assert f"https://ops.example/runbook#{alarm.anchor}" in raised
        assert not alarm.command or "Next: onramp " in raised
        assert ended.startswith(f"[ENDED] {alarm.name} sub_{alarm.name}\n")
        trigger, resolve = events[2 * index : 2 * index + 2]
        assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
        assert trigger["dedup_key"] == resolve["dedup_key"] and trigger["routing_key"] == KEY
        assert trigger["payload"]["severity"] in {"critical", "warning", "info"}
    everything = repr([texts, events])
    assert BUYER not in everything and "99.50" not in everything
    assert "ons_1" in everything


async def test_signed_json_is_verified_by_the_official_library(world: World) -> None:
    world.clock.epoch = datetime.now(UTC)
    worker = world.worker(f"HERE/hook?a=1&secret={SECRET}&severity=page&buyers=yes")
    await world.raise_alarm("delivery.mismatch", "ons_1", session="ons_1", amount="99.50")
    await world.raise_alarm("treasury.reorg", "txn_1")  # below the floor
    await run(worker)
    ((body, headers),) = world.receivers.raw["/hook"]
    document = Webhook(SECRET).verify(body, dict(headers))
    assert document["type"] == "notice.raised"
    assert document["data"]["alarm"] == "delivery.mismatch"
    assert document["data"]["command"] == "onramp sessions show ons_1"
    assert document["data"]["facts"]["amount"] == "99.50", "this target shows buyers"


async def test_a_crash_between_raise_and_send_loses_nothing_and_sends_once(world: World) -> None:
    await world.raise_alarm("delivery.overdue", "ons_1", session="ons_1")
    crashed = world.worker("slack:HERE/slack", "crashed")
    world.receivers.hanging["/slack"] = asyncio.Event()
    await crashed.step()
    for task in crashed._sending.values():
        task.cancel()
    await asyncio.gather(*crashed._sending.values(), return_exceptions=True)
    world.receivers.hanging.pop("/slack").set()
    assert await world.statuses() == [("slack-1", "waiting", 0)]
    async with world.database.write() as conn:
        await conn.execute(sa.update(notices).values(lease_until=None))  # its lease expired
    one, two = world.worker("slack:HERE/slack", "a"), world.worker("slack:HERE/slack", "b")
    world.receivers.bodies.clear()
    await asyncio.gather(run(one), run(two))
    await asyncio.gather(run(one), run(two))
    assert len(await world.texts()) == 1, "two workers send once"
    async with world.database.read() as conn:
        (audited,) = (await conn.execute(sa.select(entries).where(entries.c.action == "notice.sent"))).all()
        (told,) = await notices_service.of_session(conn, "ons_1")
    assert (audited.actor, audited.new_values["target"], told.status) == ("notices", "slack-1", "sent")


async def test_429_is_tried_again_after_the_time_that_slack_asks_for(world: World) -> None:
    worker = world.worker("slack:HERE/slack")
    await world.raise_alarm("delivery.overdue", "ons_1")
    world.receivers.answers["/slack"].append(web.Response(status=429, headers={"Retry-After": "30"}))
    await run(worker)
    world.clock.advance(29)
    await run(worker)
    assert await world.texts() == []
    world.clock.advance(2)
    await run(worker)
    assert len(await world.texts()) == 1
    assert await world.statuses() == [("slack-1", "sent", 2)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_refusal_and_a_day_without_success_are_given_up_with_an_audit_entry(world: World) -> None:
    worker = world.worker("slack:HERE/slack,discord:HERE/discord")
    with capture_logs() as logs:
        world.receivers.answers["/discord"].append(web.Response(status=404))
        world.receivers.answers["/slack"] += [web.Response(status=500) for _ in range(1000)]
        await world.raise_alarm("delivery.overdue", "ons_1")
        await run(worker)
        async with world.database.write() as conn:
            (alarm,) = await alarms_service.list_active(conn)
            await alarms_service.acknowledge(conn, alarm.id, CATALOG, "key_1", world.clock.now())
        for _ in range(400):
            await run(worker)
            if not [status for _, status, _ in await world.statuses() if status == "waiting"]:
                break
            world.clock.advance(300)
    assert {(target, status) for target, status, _ in await world.statuses()} == {
        ("slack-1", "given_up"), ("discord-2", "given_up"),
    }  # fmt: skip
    async with world.database.read() as conn:
        rows = (await conn.execute(sa.select(entries).where(entries.c.action == "notice.given_up"))).all()
    assert {row.new_values["target"] for row in rows} == {"slack-1", "discord-2"}
    assert world.receivers.url not in repr([rows, logs]) and "/slack'" not in repr([rows, logs])


async def test_a_target_that_hangs_delays_no_other(world: World) -> None:
    worker = world.worker("slack:HERE/slack,discord:HERE/discord")
    world.receivers.hanging["/slack"] = asyncio.Event()
    await world.raise_alarm("delivery.overdue", "ons_1")
    await worker.step()
    await worker._sending["discord-2"]
    assert [body["content"].partition("\n")[0] for body in world.receivers.bodies["/discord"]] == [
        "[PAGE] delivery.overdue ons_1"
    ]
    assert world.receivers.bodies["/discord"][0]["allowed_mentions"] == {"parse": []}
    assert not worker._sending["slack-1"].done()


async def test_a_burst_becomes_one_digest_and_pagerduty_gets_each(world: World) -> None:
    worker = world.worker(f"slack:HERE/slack,pagerduty:{KEY}?endpoint=HERE/pagerduty")
    for number in range(40):
        await world.raise_alarm("delivery.overdue", f"ons_{number:02}")
    await run(worker)
    (text,) = await world.texts()
    assert text.startswith("40 notifications within a minute") and "and 15 more" in text
    assert len(world.receivers.bodies["/pagerduty"]) == 40
    assert {status for _, status, _ in await world.statuses()} == {"sent"}
    world.clock.advance(61)
    await world.raise_alarm("delivery.overdue", "ons_last")
    await run(worker)
    assert (await world.texts())[1].startswith("[PAGE] delivery.overdue ons_last")


async def test_reminders_after_six_hours_then_each_day_until_acknowledged(world: World) -> None:
    worker = world.worker("slack:HERE/slack")
    await world.raise_alarm("delivery.overdue", "ons_1")
    times = []
    for hour in range(60):
        before = len(await world.texts())
        await run(worker)
        if len(await world.texts()) > before:
            times.append(hour)
        world.clock.advance(3600)
    assert times == [0, 6, 30, 54]
    assert all(text.startswith("[STILL ACTIVE] ") for text in (await world.texts())[1:])
    async with world.database.write() as conn:
        (alarm,) = await alarms_service.list_active(conn)
        await alarms_service.acknowledge(conn, alarm.id, CATALOG, "key_1", world.clock.now())
    world.clock.advance(10 * 86400)
    await run(worker)
    assert len(await world.texts()) == 4


@pytest.mark.parametrize("floor", LEVELS)
async def test_a_target_hears_of_its_severity_and_above(world: World, floor: str) -> None:
    worker = world.worker(f"slack:HERE/slack?severity={floor}")
    by_severity = {alarm.severity: alarm.name for alarm in ALARMS}
    for severity in LEVELS:
        await world.raise_alarm(by_severity[severity], severity)
    await run(worker)
    assert len(await world.texts()) == len(LEVELS) - list(LEVELS).index(floor)  # type: ignore[arg-type]


async def test_the_heartbeat_is_sent_each_minute_only_while_the_workers_run(world: World) -> None:
    from kit.heartbeats import service as heartbeats_service

    worker = world.worker("", heartbeat="HERE/beat/secret", needed=("inbox",))
    await run(worker)
    assert world.receivers.bodies["/beat/secret"] == []
    async with world.database.write() as conn:
        await heartbeats_service.beat(conn, "one", {"inbox": 0.0})
    world.clock.advance(61)
    await run(worker)
    await run(worker)
    assert len(world.receivers.bodies["/beat/secret"]) == 1


async def test_without_a_target_nothing_is_planned(world: World) -> None:
    worker = world.worker("")
    await world.raise_alarm("delivery.overdue", "ons_1")
    await run(worker)
    assert await world.statuses() == []
    later = world.worker("slack:HERE/slack", "later")
    world.clock.advance(timedelta(hours=7).total_seconds())
    await run(later)
    assert len(await world.texts()) == 1, "a target that is added later is reminded"
