"""The causes of the service's own alarms: keys, webhooks, workers, clocks, mail, screening, the audit trail and USDC."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request
from prometheus_client import CollectorRegistry

from chain.reads.arrivals import Arrived, Contradicted
from chain.types import BlockRef
from kit.audit import service as audit_service
from kit.audit.table import entries, links
from kit.audit.worker import AuditChainMetrics, AuditChainWorker, ChainMoved
from kit.clock import SystemClock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.heartbeats import service as heartbeats_service
from kit.heartbeats.writer import HeartbeatWriter
from kit.http.problems import Problem
from kit.worker import STALLED_SECONDS, WorkerMetrics, WorkerRunner
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.api_keys.alarms import KeyAlarms, counter
from onramp.auth.api_keys.table import api_key_secrets
from onramp.ops.liveness import Liveness
from onramp.screening.sanctions_list import CHECK_EVERY, Screening, ScreeningMetrics
from onramp.webhooks.intake import Intake, WebhookMetrics
from tests.support.alarm_world import AlarmNotices
from tests.support.api_keys import create_key
from tests.support.clocks import ManualClock, OffsetClock
from tests.support.hooks_world import HooksWorld, answer
from tests.support.hot_wallet import BUYER
from tests.support.webhook_events import make_event, sign
from treasury.settlements.table import settlements
from treasury.settlements.verification import SettlementMonitor, UsdcChain


@dataclass(frozen=True, slots=True)
class Place:
    """What the causes work with."""

    database: Database
    notices: AlarmNotices
    folder: Path

    @property
    def clock(self) -> ManualClock:
        return self.notices.clock


async def screening_list_unreadable(place: Place) -> AsyncIterator[None]:
    path = place.folder / "list"
    path.write_text(BUYER)
    screening = Screening(str(path), place.clock, ScreeningMetrics(CollectorRegistry()), None, place.notices.alarms)
    assert BUYER in screening
    path.write_text("nobody")
    place.clock.advance(CHECK_EVERY)
    assert BUYER in screening
    yield
    path.write_text(BUYER + "\n")
    place.clock.advance(CHECK_EVERY)
    assert BUYER in screening


async def webhooks_all_refused(place: Place) -> AsyncIterator[None]:
    intake = Intake(
        place.database, ["whsec_first"], SystemClock(), WebhookMetrics(CollectorRegistry()), lambda: None,
        alarms=place.notices.alarms,
    )  # fmt: skip

    async def receive(number: int, secret: str) -> None:
        body = make_event(number)
        content = StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**16)
        content.feed_data(body)
        content.feed_eof()
        headers = {"Stripe-Signature": sign(body, secret)}
        await intake.receive(make_mocked_request("POST", "/", headers, payload=content))

    for number in range(3):
        with pytest.raises(Problem):
            await receive(number, "whsec_another")
    yield
    await receive(9, "whsec_first")


async def api_keys_money_key_made(place: Place) -> AsyncIterator[None]:
    await create_key(place.database, "approver", "eve")
    await KeyAlarms(place.database, SystemClock(), counter(CollectorRegistry())).step()
    yield


async def api_keys_unconfirmed_key_works(place: Place) -> AsyncIterator[None]:
    await create_key(place.database, "approver", "eve")
    now = datetime.now(UTC)
    async with place.database.write() as conn:  # a day later
        late = now - api_keys_service.WAIT
        await conn.execute(sa.update(api_key_secrets).values(created_at=late, active_from=now, confirmed_by=None))
    await KeyAlarms(place.database, SystemClock(), counter(CollectorRegistry())).step()
    yield


async def hooks_endpoint_disabled(place: Place) -> AsyncIterator[None]:
    world = HooksWorld(place.database)
    world.clock.epoch = place.clock.now()
    await world.add("a")
    world.receivers.answers["https://a.example/hook"] = answer(410)
    await world.emit()
    await world.send()
    yield
    await world.enable()


async def audit_chain_moved(place: Place) -> AsyncIterator[None]:
    async def write() -> None:
        async with place.database.write() as conn:
            await audit_service.record(conn, "key_1", "payout.approve", "pay_1", None, {}, at=place.clock.now())

    registry = CollectorRegistry()
    metrics, ring = AuditChainMetrics(registry, "onramp"), KeyRing([b"k" * 32], "onramp")
    worker = AuditChainWorker(place.database, ring, place.clock, metrics, place.notices.alarms)
    await write()
    await worker.step()
    async with place.database.write() as conn:  # as the owner of the database can
        for table in ("audit_entries", "audit_links"):
            await conn.execute(sa.text(f"DROP TRIGGER {table}_no_delete"))
        await conn.execute(sa.delete(links))
        await conn.execute(sa.delete(entries))
    await write()
    with pytest.raises(ChainMoved):
        await worker.step()
    yield


class _Stuck:
    name = "stuck"
    interval = 1.0

    async def step(self) -> bool:
        raise AssertionError("never started: the test says how long its step has lasted")


async def worker_stalled(place: Place) -> AsyncIterator[None]:
    metrics = WorkerMetrics(CollectorRegistry(), "onramp")
    runner = WorkerRunner([_Stuck()], place.clock, metrics, place.notices.alarms)
    runner._since["stuck"] = place.clock.monotonic() - STALLED_SECONDS - 1
    runner.watch()
    yield
    runner._since["stuck"] = None
    runner.watch()


async def worker_missing(place: Place) -> AsyncIterator[None]:
    liveness = Liveness(place.database, ["inbox"], place.clock, CollectorRegistry(), place.notices.alarms)
    place.clock.advance(13)
    with pytest.raises(Exception, match="inbox"):
        await liveness.check()
    yield
    async with place.database.write() as conn:
        await heartbeats_service.beat(conn, "other", {"inbox": 0.0})
    await liveness.check()


async def clock_apart(place: Place) -> AsyncIterator[None]:
    clock = OffsetClock()
    clock.ahead = timedelta(minutes=10)
    pulse = HeartbeatWriter(place.database, "one", dict, clock, place.notices.alarms)
    await pulse.beat()
    yield
    clock.ahead = timedelta()
    await pulse.beat()
    await pulse.stop()


class _Chain:
    """USDC's chain: what it shows of any transaction."""

    def __init__(self, arrival: Any) -> None:
        self.arrival = arrival

    async def find_arrival(self, _hash: str, _recipients: Any) -> Any:
        return self.arrival


async def treasury_usdc_contradicted(place: Place) -> AsyncIterator[None]:
    now = datetime.now(UTC)
    row = {
        "id": "stl_1", "tx_hash": "0x1", "amount": 5, "status": "settled", "verified": False, "session_id": "ons_1",
        "asked_by": "key_1", "asked_person": "ada", "created_at": now, "updated_at": now,
    }  # fmt: skip
    async with place.database.write() as conn:
        await conn.execute(sa.insert(settlements).values(row))

    async def recipients(*_: Any) -> frozenset[str]:
        return frozenset({BUYER})

    chain = _Chain(Contradicted("it moved nothing", BlockRef(1, "0x" + "11" * 32)))
    monitor = SettlementMonitor(place.database, cast("UsdcChain", chain), SystemClock(), recipients)
    await monitor.step()
    yield
    chain.arrival = Arrived(5, BlockRef(2, "0x" + "22" * 32), 9, ("one", "two"))
    await monitor.step()
