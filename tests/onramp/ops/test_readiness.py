"""An unhealthy part is shown at /ready, and requests are refused with a problem: a database that is read only, locked or silent, and workers that have stopped."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from kit.clock import SystemClock
from kit.db.database import Database, connect
from kit.heartbeats import service as heartbeats_service
from kit.heartbeats import writer
from kit.heartbeats.writer import HeartbeatWriter
from onramp.ops import health, liveness, readiness_checks
from onramp.webhooks.service import LEASE_SECONDS
from tests.support.clocks import OffsetClock
from tests.support.operators import make_key
from tests.support.service import Service, Start, replica
from tests.support.tcp_relay import Relay
from tests.support.webhook_events import make_event, post_event, sign
from treasury.metrics import PrometheusTreasuryMetrics

LIMIT = 40.0
"""Seconds for what must happen within about fifteen, on a busy machine."""


async def ready(service: Service, secret: str | None = None) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    async with service.http.get(f"{service.api}/ready", headers=headers) as answer:
        return answer.status, {part["name"]: part for part in (await answer.json())["parts"]}


async def part(service: Service, name: str, *, ok: bool, secret: str | None = None, words: str = "") -> dict[str, Any]:
    """Return the part of /ready once it has the expected state."""
    async with asyncio.timeout(LIMIT):
        while True:
            found: dict[str, Any] = (await ready(service, secret))[1].get(name, {})
            if found.get("ok") is ok and found["detail"] != "not checked yet" and words in found["detail"]:
                return found
            await asyncio.sleep(0.1)


async def as_owner(url: str, *statements: str) -> None:
    conn = await asyncpg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
    for statement in statements:
        await conn.execute(statement)
    await conn.close()


async def every_answer(service: Service, session_id: str) -> dict[str, tuple[int, str]]:
    """Return status and code of each kind of request now."""

    async def get() -> tuple[int, str]:
        async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{session_id}") as answer:
            return answer.status, (await answer.json(content_type=None)).get("code", "")

    async def create() -> tuple[int, str]:
        status, body = await service.create()
        return status, body.get("code", "")

    async def webhook() -> tuple[int, str]:
        body = make_event(int(time.time() * 1000))
        status, answer = await post_event(service, body, sign(body))
        return status, answer.get("code", "")

    names, asked = ("get", "create", "webhook"), (get(), create(), webhook())
    return dict(zip(names, await asyncio.gather(*asked), strict=True))


AWAY = (503, "database_unavailable")


async def test_a_read_only_primary_is_not_ready_and_every_write_is_503(start: Start, postgres_url: str) -> None:
    service = await start(url=postgres_url)
    session_id = (await service.create())[1]["id"]
    await part(service, "database", ok=True)
    name = make_url(postgres_url).database
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    await as_owner(postgres_url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on', cut)
    await part(service, "database", ok=False, words="the database takes no writes")
    assert (await ready(service))[0] == 503
    answers = await every_answer(service, session_id)
    assert answers["get"][0] == 200
    assert (answers["create"], answers["webhook"]) == (AWAY, AWAY)
    await as_owner(postgres_url, "SET default_transaction_read_only = off", f'ALTER DATABASE "{name}" RESET default_transaction_read_only')  # fmt: skip
    await part(service, "database", ok=True)
    assert {status for status, _ in (await every_answer(service, session_id)).values()} == {200, 201}


async def test_a_lock_that_lasts_and_lost_connections_are_503(
    start: Start, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    service = await start(url=postgres_url)
    session_id = (await service.create())[1]["id"]
    database = connect(postgres_url)
    async with database.write() as conn:
        await conn.execute(sa.text("LOCK TABLE sessions, webhook_events IN ACCESS EXCLUSIVE MODE"))
        assert set((await every_answer(service, session_id)).values()) == {AWAY}
    assert {status for status, _ in (await every_answer(service, session_id)).values()} == {200, 201}
    await database.close()
    assert "Traceback" not in caplog.text


async def test_a_database_that_falls_silent_is_answered_in_time_and_left_for_new_connections(
    start: Start, postgres_url: str
) -> None:
    relay = Relay.to_postgres(postgres_url)
    await relay.start()
    service = await start(url=relay.url(postgres_url), stock=10**24)
    session_id = (await service.create())[1]["id"]
    async with replica(relay.url(postgres_url), service, OffsetClock(), ("inbox", "reconcile", "janitor"), **_SECRETS):
        for new in (False, True):
            relay.silence(new=new)
            started = time.monotonic()
            async with asyncio.timeout(LIMIT):
                await every_answer(service, session_id)
            assert time.monotonic() - started < LIMIT
            if new:
                await part(service, "database", ok=False)
            relay.heal()
            await part(service, "database", ok=True)
            async with asyncio.timeout(LIMIT):
                while {one for one, _ in (await every_answer(service, session_id)).values()} != {200, 201}:
                    await asyncio.sleep(0.2)
        # The worker takes the events that came in: its steps go on, on other connections. An event that it had leased when the database
        # fell silent waits until that lease ends.
        async with asyncio.timeout(LEASE_SECONDS + LIMIT):
            while await _pending(postgres_url):
                await asyncio.sleep(0.2)
    await relay.stop()


_SECRETS: dict[str, Any] = {"STRIPE_WEBHOOK_SECRETS": SecretStr("whsec_first")}


async def _pending(url: str) -> int:
    database = connect(url)
    async with database.read() as conn:
        found = await conn.scalar(sa.text("SELECT count(*) FROM webhook_events WHERE state = 'pending'"))
    await database.close()
    return int(found or 0)


async def test_details_of_library_errors_are_shown_to_operators_only(start: Start, postgres_url: str) -> None:
    service = await start(url=postgres_url)
    secret = await make_key(service.database, "viewer", "vera")
    await part(service, "backlog", ok=True)
    await as_owner(postgres_url, "ALTER TABLE webhook_events RENAME TO gone")
    assert (await part(service, "backlog", ok=False))["detail"] == "unwell; the service's log says more"
    for path in ("/ready", "/api/health"):
        async with service.http.get(service.api + path) as answer:
            text = await answer.text()
        assert not any(word in text for word in ("webhook_events", "SELECT", "asyncpg", "sqlalchemy", '"pause"')), text
    details = await part(service, "backlog", ok=False, secret=secret)
    assert "webhook_events" in details["detail"]
    assert "SELECT" not in json.dumps(details)
    assert "pause" in (await ready(service, secret))[1]
    assert "pause" not in (await ready(service, "ork_" + "a" * 52))[1]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "PRESENT_SECONDS", 0.5)
    monkeypatch.setattr(liveness, "MISSING_SECONDS", 1.0)


WORKERS = ("inbox", "reconcile", "deliveries", "treasury", "audit", "janitor")


@asynccontextmanager
async def beating(url: str, busy: Callable[[], dict[str, float]]) -> AsyncIterator[HeartbeatWriter]:
    """Write the heartbeats of another process."""
    database = connect(url)
    pulse = HeartbeatWriter(database, "elsewhere", busy, SystemClock())
    pulse.start()
    yield pulse
    await pulse.stop()
    await database.close()


async def test_nothing_is_sold_while_workers_are_missing_or_stuck(start: Start, sqlite_url: str, hasty: None) -> None:
    del hasty
    service = await start()
    assert (await service.create())[0] == 201, "a start waits for its workers for a while"
    await part(service, "workers", ok=False, words="nothing is sold")
    status, problem = await service.create()
    assert (status, problem["code"]) == (503, "delivery_unavailable")
    assert (await ready(service))[0] == 503
    busy = dict.fromkeys(WORKERS, 0.0)
    async with beating(sqlite_url, lambda: busy):
        await part(service, "workers", ok=True)
        assert (await service.create())[0] == 201
        busy["treasury"] = 400.0
        await part(service, "workers", ok=False)
        assert (await service.create())[1]["code"] == "delivery_unavailable"
        async with service.http.get(f"{service.api}/metrics") as answer:
            assert 'onramp_worker_missing{worker="treasury"} 1.0' in await answer.text()
        busy["treasury"] = 0.0
        await part(service, "workers", ok=True)


async def test_refused_webhooks_are_logged_once_until_one_is_accepted(service: Service) -> None:
    await part(service, "webhooks", ok=True)
    for number in range(3):
        assert (await post_event(service, make_event(number), sign(make_event(number), "whsec_another")))[0] == 400
    await part(service, "webhooks", ok=False)
    assert (await post_event(service, make_event(9), sign(make_event(9))))[0] == 200
    await part(service, "webhooks", ok=True)


async def test_a_stranger_without_a_signature_makes_no_such_line(service: Service) -> None:
    for header in (None, "", "t=1", None):
        assert (await post_event(service, make_event(), header))[0] == 400
    await asyncio.sleep(0)
    assert (await part(service, "webhooks", ok=True))["ok"]


async def test_clocks_that_are_apart_are_one_alarm(database: Database) -> None:
    clock = OffsetClock()
    clock.ahead = timedelta(minutes=10)
    pulse = HeartbeatWriter(database, "one", dict, clock)
    with structlog.testing.capture_logs() as logs:
        await pulse.beat()
        await pulse.beat()
        await pulse.stop()
    assert pulse.last is not None
    assert 590 < pulse.last.clock_offset < 620
    assert [line["log_level"] for line in logs if line["event"] == "clock.apart"] == ["critical"]


async def test_lists_are_read_from_the_primary_while_the_replica_is_away(start: Start, postgres_url: str) -> None:
    dead = make_url(postgres_url).set(host="127.0.0.1", port=9, query={}).render_as_string(hide_password=False)
    service = await start(url=postgres_url, DATABASE_REPLICA_URL=SecretStr(dead))
    secret = await make_key(service.database, "viewer", "vera")
    await part(service, "replica", ok=False)
    for _ in range(3):
        headers = {"Authorization": f"Bearer {secret}"}
        async with service.http.get(f"{service.api}/api/v1/treasury/payouts", headers=headers) as answer:
            assert answer.status == 200


async def test_a_full_database_is_believed_to_have_space_when_it_has(database: Database) -> None:
    pulse = HeartbeatWriter(database, "one", lambda: {"inbox": 0.0}, SystemClock())
    database._pool.write_refusal = "no space left"
    await pulse.beat()
    assert (pulse.failure, database.write_refusal) == (None, None)
    async with database.read() as conn:
        assert set(await heartbeats_service.workers_seen(conn)) == {"inbox"}
    await pulse.stop()


def test_what_is_not_well_is_shown_within_fifteen_seconds() -> None:
    stored, measured = heartbeats_service.EVERY_SECONDS, health.EVERY_SECONDS
    assert writer.PROVE_SECONDS + stored + measured <= 15, "a full disk"
    assert readiness_checks.REPLICA_SECONDS + stored + measured <= 15, "a replica that is behind"
    assert heartbeats_service.PRESENT_SECONDS <= 15, "a worker that is missing is an alarm before it stops sales"


def test_only_the_leader_shows_what_only_the_leader_knows() -> None:
    registry = CollectorRegistry()
    metrics = PrometheusTreasuryMetrics(registry)

    def shown() -> str:
        return generate_latest(registry).decode()

    metrics.leading(False)
    assert not any(name in shown() for name in ("treasury_nonce", "treasury_payouts", "treasury_cold_wallet_verified"))
    metrics.leading(True)
    metrics.nonce(7)
    metrics.cold_wallet(True)
    assert 'treasury_payouts{status="final"} 0.0' in shown()
    assert "treasury_nonce 7.0" in shown()
    metrics.leading(False)
    metrics.nonce(8)
    assert not any(name in shown() for name in ("treasury_nonce", "treasury_payouts", "treasury_cold_wallet_verified"))
    metrics.leading(True)
    assert "treasury_cold_wallet_verified" not in shown(), "what was not measured yet is not shown"
