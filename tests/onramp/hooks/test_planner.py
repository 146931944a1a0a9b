"""Changes of rows become messages: each event once, to those who subscribed, with the data of that version."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from kit.alarms import service as alarms_service
from kit.clock import SystemClock
from kit.outbox.table import changes
from kit.worker import WorkerContext, WorkerMetrics
from onramp.hooks.planner import WebhookPlanner
from onramp.hooks.table import EndpointStatus, messages
from onramp.outbox.worker import OutboxWorker
from onramp.sessions import service as sessions_service
from onramp.sessions.schemas import session_json
from tests.support.hooks_world import HooksWorld

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EXPLORER = "https://explorer.example"
ROW: dict[str, Any] = {
    "id": "ons_1", "version": 1, "wallet_address": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", "source_minor": 10_000,
    "source_currency": "usd", "mode": "payout", "fee_bps": 0, "locked_address": "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
    "destination_currency": "usdc", "destination_network": "ethereum", "from_block": 0, "payment_status": "created",
    "payment_updated_at": NOW, "delivery_status": "awaiting", "delivery_updated_at": NOW, "created_at": NOW, "updated_at": NOW,
    "expires_at": NOW + timedelta(days=1), "asked_at": NOW, "reference": "order \u00e9\u4e2d 17",
}  # fmt: skip


@pytest.fixture
def world(database: Any) -> HooksWorld:
    return HooksWorld(database)


async def plan(world: HooksWorld) -> None:
    context = WorkerContext(world.database, SystemClock(), WorkerMetrics(CollectorRegistry(), "onramp"), "tester")
    worker = OutboxWorker(context, [WebhookPlanner(EXPLORER)], lambda: None)
    while await worker.step():
        pass


async def stored(world: HooksWorld) -> list[Any]:
    async with world.database.read() as conn:
        rows = (await conn.execute(sa.select(messages))).fetchall()
    return [orjson.loads(row.body) for row in rows]


async def waiting(world: HooksWorld) -> int:
    async with world.database.read() as conn:
        return int((await conn.execute(sa.select(sa.func.count()).select_from(changes))).scalar_one())


async def buy(world: HooksWorld) -> list[dict[str, Any]]:
    """Take a session through a purchase; return it as `GET` answered it at each version."""
    answers = []
    steps: list[dict[str, Any]] = [
        {"payment_status": "initialized", "stripe_session_id": "cos_1", "livemode": False},
        {"payment_status": "fulfillment_complete", "delivered_units": 99_500_000, "expected_units": 99_500_000 * 10**12},
        {"delivery_status": "confirmed", "tx_hash": "0x" + "ab" * 32, "confirmations": 2, "agreed_by": ["a", "b"],
         "received_units": 99_500_000 * 10**12, "log_index": 4, "block_number": 7, "block_hash": "0x" + "cd" * 32},
    ]  # fmt: skip
    async with world.database.write() as conn:
        assert await sessions_service.put(conn, ROW)
        answers.append(await sessions_service.get(conn, "ons_1"))
    for step in steps:
        async with world.database.write() as conn:
            session = await sessions_service.get(conn, "ons_1")
            assert session is not None
            assert await sessions_service.change(conn, session, now=NOW + timedelta(seconds=session.version), **step)
            answers.append(await sessions_service.get(conn, "ons_1"))
    return [session_json(answer, EXPLORER) for answer in answers if answer is not None]


async def test_the_data_of_an_event_is_the_session_as_get_answered_it_at_that_version(world: HooksWorld) -> None:
    await world.add("a", ["session.updated", "session.completed"])
    answers = await buy(world)
    await plan(world)
    documents = await stored(world)
    updated = [document["data"] for document in documents if document["type"] == "session.updated"]
    assert sorted(updated, key=lambda data: data["version"]) == orjson.loads(orjson.dumps(answers))
    assert [d["data"]["version"] for d in documents if d["type"] == "session.completed"] == [4]
    assert len(documents) == 5
    assert not any("secret" in str(document).lower() or document["data"]["redirectUrl"] for document in documents)


async def test_nothing_is_stored_without_an_endpoint_that_wants_it(world: HooksWorld) -> None:
    await buy(world)
    assert await waiting(world) == 0
    await world.add("a", ["alarm.raised"])
    async with world.database.write() as conn:
        await sessions_service.put(conn, ROW | {"id": "ons_2"})
        await alarms_service.raise_in(conn, "delivery.overdue", "ons_2", NOW)
    assert await waiting(world) == 1
    await plan(world)
    (document,) = await stored(world)
    assert document["type"] == "alarm.raised"
    assert document["data"]["name"] == "delivery.overdue" and document["data"]["endedAt"] is None
    async with world.database.write() as conn:
        await alarms_service.clear(conn, [("delivery.overdue", "ons_2")], NOW)
    await plan(world)
    assert len(await stored(world)) == 1, "nobody subscribed to alarm.cleared"
    await world.change(events=["alarm.cleared"])
    async with world.database.write() as conn:
        await alarms_service.raise_in(conn, "delivery.overdue", "ons_2", NOW)
        await alarms_service.clear(conn, [("delivery.overdue", "ons_2")], NOW)
    await plan(world)
    assert [d["type"] for d in await stored(world)].count("alarm.cleared") == 1


async def test_a_disabled_endpoint_gets_no_delivery_and_its_messages_are_kept(world: HooksWorld) -> None:
    await world.add("a", ["session.completed"])
    await world.change(status=EndpointStatus.DISABLED)
    await buy(world)
    await plan(world)
    assert len(await stored(world)) == 1
    assert await world.deliveries() == []
