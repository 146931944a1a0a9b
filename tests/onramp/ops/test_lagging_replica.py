"""A streaming standby that falls behind, and is then gone: no alarm depends on it, and lists are read from the primary."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from kit.db.database import connect
from onramp import migrations
from tests.support.clocks import OffsetClock
from tests.support.health_pace import hurry
from tests.support.operators import operator_client
from tests.support.own_postgres import OwnPostgres, namespaces_are_missing
from tests.support.service import SECRETS, Start, replica
from tests.support.waiting import eventually

LIMIT = 40.0
"""Seconds for what must happen within fifteen, on a busy machine."""


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Stop what a test has started, also if it fails."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.mark.skipif(namespaces_are_missing(), reason="Postgres cannot be started here by a user of its own")
async def test_alarms_and_lists_do_not_depend_on_a_standby(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: AsyncExitStack
) -> None:
    hurry(monkeypatch)
    primary = OwnPostgres(tmp_path / "primary")
    stack.push_async_callback(primary.stop)
    await primary.start()
    database = connect(primary.url)
    await migrations.upgrade(database)
    await database.close()
    standby = await primary.standby(tmp_path / "standby")
    stack.push_async_callback(standby.stop)
    settings: dict[str, Any] = {
        "DATABASE_REPLICA_URL": SecretStr(standby.url),
        "STRIPE_WEBHOOK_SECRETS": SecretStr(",".join(SECRETS)),
    }
    service = await start(url=primary.url, **settings)
    vera = await operator_client(service, "viewer", "vera")

    async def part() -> str:
        async with service.http.get(f"{service.api}/ready") as response:
            parts = {part["name"]: part for part in (await response.json())["parts"]}
        assert parts["database"]["ok"], "the primary is well all the time"
        return str(parts["replica"]["detail"])

    async def reports(text: str) -> bool:
        return text in await part()

    async def payouts() -> list[str]:
        status, page = await vera.get("/payouts?limit=50")
        assert status == 200, page
        return [payout["status"] for payout in page["data"]]

    await eventually(lambda: reports("0 s behind"), within=LIMIT)
    await standby.fetchval("SELECT pg_wal_replay_pause()")
    service.sandbox.sender.endpoint.url = f"{service.api}/api/v1/webhooks/stripe"
    made = (await service.create())[1]
    session = service.sandbox.store.get(made["payment"]["stripeSessionId"])
    service.sandbox.walk(session, "fulfillment_complete", {"destination_amount": "100.00"}, "once")
    clock = OffsetClock()
    with structlog.testing.capture_logs() as logs:
        async with replica(primary.url, service, clock, ("inbox", "deliveries"), **settings):
            await eventually(lambda: reports("behind: lists are read from the primary"), within=LIMIT)
            clock.ahead += timedelta(hours=1)
            # The standby knows no payout, so the list was read from the primary.
            assert await eventually(payouts, within=LIMIT) == ["planned"]
            await eventually(lambda: "delivery.overdue" in {line["event"] for line in logs}, within=LIMIT)
        async with replica(primary.url, service, clock, ("janitor",), **settings) as container:
            gauge = partial(container.registry.get_sample_value, "onramp_deliveries_overdue")
            await eventually(lambda: gauge() == 1, within=LIMIT)
    await standby.fetchval("SELECT pg_wal_replay_resume()")
    await eventually(lambda: reports("0 s behind"), within=LIMIT)
    await standby.stop()
    assert await payouts() == ["planned"]
    await eventually(lambda: reports("does not answer: lists are read from the primary"), within=LIMIT)
    assert await payouts() == ["planned"]
    await primary.stop()
