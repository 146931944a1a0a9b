"""Unpaid purchases are deleted, and nothing else; a purchase that is paid after its deletion is still honoured."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from kit.audit.table import entries
from kit.clock import SystemClock
from onramp.ops import pruning
from onramp.sessions.contacts import contacts
from onramp.sessions.table import sessions
from tests.support.clocks import OffsetClock
from tests.support.service import Service, Start, replica

NOW = SystemClock().now()
OLD = {name: NOW - timedelta(days=31) for name in ("created_at", "asked_at", "expires_at", "payment_updated_at")}
BEFORE = NOW - timedelta(days=30)


async def change(service: Service, session: dict[str, Any], **values: Any) -> None:
    async with service.database.write() as conn:
        await conn.execute(sa.update(sessions).where(sessions.c.id == session["id"]).values(**values))


async def ids(service: Service) -> set[str]:
    async with service.database.read() as conn:
        return set((await conn.execute(sa.select(sessions.c.id))).scalars())


async def test_unpaid_sessions_are_deleted_with_their_contacts_and_nothing_else(
    start: Start, database_url: str
) -> None:
    service = await start(url=database_url)
    cases: dict[str, dict[str, Any]] = {
        "expired": OLD | {"payment_status": "expired"},
        "rejected": OLD | {"payment_status": "rejected"},
        "rejected by Stripe at the start": OLD | {"payment_status": "rejected", "refusal_code": "stripe_echo_mismatch"},
        "paid": OLD | {"payment_status": "fulfillment_complete", "paid_at": OLD["asked_at"]},
        "being paid": OLD | {"payment_status": "fulfillment_processing"},
        "open": OLD | {"payment_status": "requires_payment"},
        "for a person": OLD | {"payment_status": "expired", "attention": "Stripe says something else"},
        "delivered": OLD | {"payment_status": "expired", "delivery_status": "confirmed", "tx_hash": "0x1"},
        "expired lately": OLD | {"payment_status": "expired", "expires_at": NOW - timedelta(days=29)},
        "rejected lately": OLD | {"payment_status": "rejected", "payment_updated_at": NOW - timedelta(days=29)},
    }
    made = {name: (await service.create(email="buyer@example.com"))[1] for name in cases}
    for name, values in cases.items():
        await change(service, made[name], **values)
    count = await pruning.prune(service.database, BEFORE, by="janitor", now=NOW)
    kept = {name for name, session in made.items() if session["id"] in await ids(service)}
    assert set(cases) - kept == {"expired", "rejected", "rejected by Stripe at the start"}
    async with service.database.read() as conn:
        remaining = set((await conn.execute(sa.select(contacts.c.session_id))).scalars())
        row = (await conn.execute(sa.select(entries).where(entries.c.action == "sessions.prune"))).one()
    assert remaining == {made[name]["id"] for name in kept}
    assert (count, row.actor, row.new_values["sessions"]) == (3, "janitor", 3)
    assert await pruning.prune(service.database, BEFORE, by="janitor", now=NOW) == 0


async def test_many_go_in_small_transactions_by_an_index(
    start: Start, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 4)
    service = await start(url=database_url)
    for _ in range(10):
        await change(service, (await service.create())[1], payment_status="expired", **OLD)
    side = await asyncio.gather(*(pruning.prune(service.database, BEFORE, by="janitor", now=NOW) for _ in range(2)))
    assert (sum(side), await service.stored()) == (10, 0), "two janitors at once share the work"
    async with service.database.read() as conn:
        query = pruning._due(service.database.dialect, "expired", BEFORE)
        literal = query.compile(conn.engine, compile_kwargs={"literal_binds": True})
        if service.database.dialect == "postgresql":
            await conn.exec_driver_sql("SET enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN" if service.database.dialect == "sqlite" else "EXPLAIN"
        plan = str((await conn.exec_driver_sql(f"{explain} {literal}")).fetchall())
    assert "ix_sessions_payment_asked" in plan, plan


async def test_a_payment_after_that_is_honoured(start: Start, database_url: str) -> None:
    service = await start(url=database_url)
    _, made = await service.create()
    await change(service, made, payment_status="expired", **OLD)
    assert await pruning.prune(service.database, BEFORE, by="janitor", now=NOW) == 1
    url = f"{service.stripe}/sandbox/onramp_sessions/{made['payment']['stripeSessionId']}/advance"
    paid = {"status": "fulfillment_complete", "destination_amount": "99.50", "events": "none"}
    async with service.http.post(url, json=paid) as answer:
        assert answer.status == 200
    async with replica(database_url, service, OffsetClock()), asyncio.timeout(60):
        while True:
            async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{made['id']}") as answer:
                if answer.status == 200:
                    found = await answer.json()
                    if found["payment"]["status"] == "fulfillment_complete":
                        break
            await asyncio.sleep(0.1)
    assert (found["walletAddress"], found["status"]) == (made["walletAddress"], "delivering")
    assert found["delivery"]["expectedAmount"] == "99.50"


async def test_the_janitor_does_it(start: Start, sqlite_url: str) -> None:
    service = await start()
    _, made = await service.create()
    await change(service, made, payment_status="expired", **OLD)
    async with replica(sqlite_url, service, OffsetClock(), ("janitor",), UNPAID_RETENTION_DAYS=30), asyncio.timeout(60):
        while await ids(service):
            await asyncio.sleep(0.1)
    async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{made['id']}") as answer:
        assert answer.status == 404
