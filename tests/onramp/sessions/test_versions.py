"""The version of a session orders its states: whatever changes what a response shows increases it, and nothing decreases it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
import sqlalchemy as sa

from kit.db.database import Database
from kit.money import Money
from onramp.sessions import receipts
from onramp.sessions import service as sessions_service
from onramp.sessions.model import Session, intent_row
from onramp.sessions.schemas import session_json
from onramp.sessions.status import DeliveryStatus, PaymentStatus
from onramp.sessions.table import sessions
from tests.support.clocks import OffsetClock
from tests.support.delivery_histories import rules_of
from tests.support.purchases import BUYER, OTHER, read_session
from tests.support.service import Service, Start, replica

MIGRATION = import_module("onramp.migrations.versions.0026_dapps")
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
BOOKKEEPING = set(MIGRATION.BOOKKEEPING)
"""Columns that no response shows. An id never changes."""


def other_value(column: sa.Column[Any]) -> Any:
    """Return a value that the row of `stored` does not have in this column."""
    match column.name:
        case "payment_status":
            return PaymentStatus.REQUIRES_PAYMENT
        case "delivery_status":
            return DeliveryStatus.SEEN
        case "mode":
            return "payout"
        case "agreed_by":
            return ["alpha"]
        case name if name.endswith(("_at", "_until")):
            return NOW + timedelta(hours=1)
        case name if name.endswith("_units"):
            return 10**20
        case _ if isinstance(column.type, sa.Boolean):
            return True
        case _ if isinstance(column.type, sa.Integer):
            return 77
        case _:
            return "xyz"


def shown(session: Session) -> str:
    """Return everything that responses say about a session, without its version."""
    merchant = (None, None, None)
    documents: list[Any] = [
        session_json(replace(session, version=0), "https://explorer.example"),
        receipts.proof(session, token=OTHER, chain_id=31611, explorer=None),
        receipts.receipt(session, token=OTHER, chain_id=31611, explorer=None, merchant=merchant),
    ]
    return repr(documents)


@pytest.fixture
async def stored(database: Database) -> AsyncIterator[Database]:
    values = intent_row(
        rules_of(OTHER, OTHER), session_id="ons_1", wallet=BUYER, source=Money(100, "usd"), fee_bps=0, created_at=NOW, now=NOW
    )  # fmt: skip
    async with database.write() as conn:
        await conn.execute(sa.insert(sessions).values(values))
    yield database


async def read(database: Database) -> Session:
    async with database.read() as conn:
        session = await sessions_service.get(conn, "ons_1")
    assert session is not None
    return session


@pytest.mark.parametrize("name", sorted(set(sessions.c.keys()) - {"id", "version"}))
async def test_a_statement_that_forgets_the_version_increases_it_if_a_response_changes(
    stored: Database, name: str
) -> None:
    before = await read(stored)
    async with stored.write() as conn:
        await conn.execute(sa.update(sessions).values({name: other_value(sessions.c[name])}))
    after = await read(stored)
    if name in BOOKKEEPING:
        assert shown(after) == shown(before), f"{name} is shown, and must be guarded"
        assert after.version == before.version
    else:
        assert after.version == before.version + 1


async def test_a_statement_that_increases_the_version_itself_is_left_alone(stored: Database) -> None:
    before = await read(stored)
    async with stored.write() as conn:
        assert await sessions_service.change(conn, before, now=NOW, attention="look")
    after = await read(stored)
    assert (after.version, after.attention) == (before.version + 1, "look")
    async with stored.write() as conn:
        assert not await sessions_service.change(conn, before, now=NOW, attention="late"), "it was changed meanwhile"


async def test_no_statement_lets_a_version_go_back(stored: Database) -> None:
    async with stored.write() as conn:
        await conn.execute(sa.update(sessions).values(version=9))
        await conn.execute(sa.update(sessions).values(version=3, attention="old"))
    assert (await read(stored)).version == 10
    async with stored.write() as conn:
        await conn.execute(sa.update(sessions).values(version=3))
    assert (await read(stored)).version == 11


async def test_a_rebuilt_session_goes_on_above_the_lost_one_and_keeps_its_reference(
    start: Start, database_url: str
) -> None:
    service = await start(url=database_url)
    _, created = await service.create(reference="order-17")
    async with service.database.write() as conn:
        await conn.execute(sa.delete(sessions))
    fact = service.sandbox.store.get(created["payment"]["stripeSessionId"])
    service.sandbox.walk(fact, "fulfillment_complete", {}, "none")
    async with replica(database_url, service, OffsetClock(timedelta(minutes=5))), asyncio.timeout(120):
        while await service.stored() == 0:
            await asyncio.sleep(0.1)
        while (session := await read_session(service, created["id"]))["status"] == "awaiting_payment":
            await asyncio.sleep(0.1)
    assert session["reference"] == "order-17"
    assert session["version"] > 300 > created["version"], "no more than one for each second that it is old"


async def test_two_processes_show_each_change_under_a_larger_version(start: Start, database_url: str) -> None:
    """Two APIs read while two processes' workers change: what differs has another version, and what is later a larger one."""
    first, second = await start(url=database_url), await start(url=database_url)
    _, created = await first.create()
    states: list[dict[str, Any]] = [created | {"redirectUrl": None}]
    finished = asyncio.Event()

    async def watch(service: Service) -> None:
        seen = 0
        while True:
            is_last = finished.is_set()
            session = await read_session(service, created["id"])
            assert session["version"] >= seen, "it went back"
            seen = session["version"]
            states.append(session)
            if is_last:
                return
            await asyncio.sleep(0.01)

    watchers = [asyncio.create_task(watch(service)) for service in (first, second, first, second)]
    fact = first.sandbox.store.get(created["payment"]["stripeSessionId"])
    clocks = OffsetClock(), OffsetClock()
    async with replica(database_url, first, clocks[0]), replica(database_url, first, clocks[1]):
        for status in ("requires_payment", "fulfillment_processing", "fulfillment_complete"):
            first.sandbox.walk(fact, status, {}, "none")
            for clock in clocks:
                clock.ahead += timedelta(minutes=3)  # when Stripe is asked again about a session that nobody has paid
            async with asyncio.timeout(120):
                while states[-1]["payment"]["status"] != status:
                    await asyncio.sleep(0.05)
    finished.set()
    await asyncio.gather(*watchers)
    by_version: dict[int, dict[str, Any]] = {}
    for state in states:
        shown_state = {name: state[name] for name in states[-1]}
        assert by_version.setdefault(state["version"], shown_state) == shown_state, "two states under one version"
    order = ["initialized", "requires_payment", "fulfillment_processing", "fulfillment_complete"]
    reached = [by_version[version]["payment"]["status"] for version in sorted(by_version)]
    assert reached == sorted(reached, key=order.index)
    assert reached[-1] == "fulfillment_complete"
