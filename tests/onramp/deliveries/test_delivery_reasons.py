"""A delivery that waits shows its reason, whether its transfer was seen or not, and loses it when the wait is over."""

import asyncio
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from kit import logs
from kit.clock import SystemClock
from kit.db.database import Database
from kit.db.inserts import insert_or_ignore
from kit.db.types import db_now
from kit.ids import RandomIds
from onramp.deliveries import delivery_reasons
from onramp.dev.chain.devchain import DevChain
from onramp.sessions import service as sessions_service
from onramp.sessions.table import sessions
from tests.support import faulty_proxy, wire_faults
from tests.support.clocks import OffsetClock
from tests.support.faulty_proxy import FaultyProxy
from tests.support.observe_mode import (
    SENDER,
    UNIT,
    WORKERS,
    buyer_wallet,
    delivery,
    delivery_until,
    observe_settings,
    pay_unannounced,
    send_musd,
)
from tests.support.paid_sessions import BUYER, OTHER, insert_paid_sessions
from tests.support.receipts import TX
from tests.support.scripted_deliveries import Shop
from tests.support.service import HOT_WALLET, Start, replica
from treasury.core.leader import leaders
from treasury.core.reasons import Reason
from treasury.payouts import service as payouts_service
from treasury.payouts.states import REASONS
from treasury.payouts.table import payouts as payouts_table

SECOND = "waiting_for_second_node"


FAULTS = {
    "away": (wire_faults.reset(), ()),
    "without-logs": (
        faulty_proxy.refused(-32000, "failed to load state: pruned"),
        ("eth_getLogs", "eth_getBlockByNumber"),
    ),
}


@pytest.mark.parametrize(("fault", "methods"), FAULTS.values(), ids=FAULTS)
async def test_a_delivery_waits_with_a_reason_while_too_few_providers_report_transfers(
    start: Start,
    sqlite_url: str,
    chain: DevChain,
    providers: list[FaultyProxy],
    fault: faulty_proxy.Fault,
    methods: tuple[str, ...],
) -> None:
    """No transfer was seen yet; the session and its delivery show the reason over HTTP."""
    urls = ",".join(f"{one.name}={one.config.url}" for one in providers)
    known = observe_settings(chain, MEZO_RPC_URLS=SecretStr(urls))
    service, clock, buyer = await start(**known), OffsetClock(), buyer_wallet(90 + len(methods))
    async with replica(sqlite_url, service, clock, WORKERS, **known):
        await asyncio.sleep(1.5)
        _, made = await service.create(walletAddress=buyer)
        pay_unannounced(service, clock, made, "5.00")
        for one in providers[:2]:
            one.always(fault, *methods)
        body: dict[str, Any] = {}
        async with asyncio.timeout(60):
            while body.get("delivery", {}).get("reason") != SECOND:
                await asyncio.sleep(0.1)
                async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{made['id']}") as answer:
                    body = await answer.json()
        assert (body["status"], body["delivery"]["status"]) == ("delivering", "awaiting")
        tx_hash = await send_musd(chain, SENDER, buyer, 5 * UNIT)
        for one in providers:
            one.clear_faults()
        proof = await delivery_until(service, made["id"], "confirmed", 60)
        assert proof["txHash"] == tx_hash
        assert (await delivery(service, made["id"]))["reason"] is None


async def shown(database: Database) -> dict[str, str | None]:
    async with database.read() as conn:
        return {row.id: row.delivery_reason for row in await conn.execute(sa.select(sessions))}


async def mark(database: Database, everyone: str | None, awaiting: str | None) -> int:
    async with database.write() as conn:
        found = await delivery_reasons.changed_reasons(conn, 100, everyone, awaiting)
        if found:
            await delivery_reasons.set_wait_reasons(conn, found, SystemClock().now())
    return len(found)


async def test_each_session_gets_its_reason_once_on_both_databases(database: Database) -> None:
    await insert_paid_sessions(database, ("ons_1", BUYER, 5), ("ons_2", OTHER, 7), ("ons_3", BUYER, 9))
    async with database.write() as conn:
        seen = sa.update(sessions).where(sessions.c.id != "ons_1").values(delivery_status="seen")
        await conn.execute(seen)
        known = sa.update(sessions).where(sessions.c.id == "ons_3").values(delivery_reason="reorg")
        await conn.execute(known)
    assert await mark(database, None, None) == 0
    assert await mark(database, None, SECOND) == 1
    assert await shown(database) == {"ons_1": SECOND, "ons_2": None, "ons_3": "reorg"}
    assert await mark(database, "chain_paused", "chain_paused") == 2
    assert await shown(database) == {"ons_1": "chain_paused", "ons_2": "chain_paused", "ons_3": "reorg"}
    assert await mark(database, "chain_paused", "chain_paused") == 0
    assert await mark(database, None, None) == 1
    assert (await shown(database))["ons_1"] is None


@pytest.fixture
def log_output() -> Iterator[io.StringIO]:
    """Yield a buffer that gets the log lines of level error and above."""
    stream = io.StringIO()
    logs.configure("error", "json", stream)
    yield stream
    logs.configure("warning", "text")


async def test_a_paid_purchase_is_overdue_until_its_transfer_arrives(
    database: Database, log_output: io.StringIO
) -> None:
    async def overview() -> tuple[str, bool, int]:
        async with database.read() as conn:
            session = await sessions_service.get(conn, "ons_1")
            assert session is not None
            return session.status, session.overdue, await delivery_reasons.count_overdue(conn)

    shop = Shop(database)
    await shop.step(0)
    await shop.purchase()
    await shop.purchase(2, OTHER)
    shop.clock.seconds += shop.rules.overdue_after.total_seconds() - 60
    await shop.step()
    assert await overview() == ("delivering", False, 0)

    shop.clock.seconds += 60
    await shop.step()
    assert await overview() == ("attention", True, 2)
    await shop.step()
    alarms = [json.loads(line) for line in log_output.getvalue().splitlines()]
    assert sorted((one["level"], one["event"], one["session"]) for one in alarms) == [
        ("critical", "delivery.overdue", "ons_1"),
        ("critical", "delivery.overdue", "ons_2"),
    ]

    shop.chain.paid[TX] = shop.chain.head + 1
    await shop.step()
    await shop.step()
    assert await overview() == ("completed", False, 1)
    await shop.pool.close()


FIXED = {None, SECOND, "chain_paused", "payouts_paused", "awaiting_approval", "screening", "insufficient", "reorg"}


async def owed(database: Database, session_id: str) -> None:
    """Create the payout of a paid session, from a wallet that has a leader."""
    now = SystemClock().now()
    async with database.write() as conn:
        await payouts_service.create_payout(
            conn, session_id=session_id, stripe_session_id="cos_" + session_id, to=BUYER, amount=UNIT, token=OTHER,
            wallet=HOT_WALLET, now=now, ids=RandomIds(),
        )  # fmt: skip
        await insert_or_ignore(conn, leaders, [{"id": f"31611:{HOT_WALLET}", "token": 1}], ["id"])
        await conn.execute(sa.update(leaders).values(lease_until=db_now(30)))


async def test_a_buyer_reads_one_of_the_fixed_reasons_whatever_the_payout_waits_for(database: Database) -> None:
    await insert_paid_sessions(database, ("ons_1", BUYER, 5))
    await owed(database, "ons_1")
    for status in ("held", "planned", "approved", "awaiting_approval", "signed"):
        for reason in REASONS:
            async with database.write() as conn:
                await conn.execute(sa.update(payouts_table).values(status=status, reason=reason))
            await mark(database, None, None)
            reason_shown = (await shown(database))["ons_1"]
            assert reason_shown in FIXED, (status, reason)
            assert reason_shown is not None or reason in {Reason.QUEUED, Reason.DISPLACED}, (status, reason)


async def test_a_buyer_whose_payout_no_process_would_sign_reads_that_payouts_are_paused(database: Database) -> None:
    await insert_paid_sessions(database, ("ons_1", BUYER, 5))
    await owed(database, "ons_1")
    assert await mark(database, None, None) == 0
    async with database.write() as conn:
        await conn.execute(sa.update(leaders).values(lease_until=db_now(-1)))
    assert await mark(database, None, None) == 1
    assert await shown(database) == {"ons_1": "payouts_paused"}
    async with database.write() as conn:
        await conn.execute(sa.update(leaders).values(lease_until=db_now(30)))
    assert await mark(database, None, None) == 1
    assert await shown(database) == {"ons_1": None}
