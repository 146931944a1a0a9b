"""The views for reports: each answers on both databases, holds no personal data, and is all that a reporting role can read."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from kit.db.database import Database, connect
from kit.ids import RandomIds
from onramp.sessions.table import sessions
from tests.support.paid_sessions import insert_paid_sessions
from tests.support.paths import ROOT
from tests.support.purchases import BUYER, OTHER, TOKEN
from tests.support.service import HOT_WALLET
from treasury.core.facts import OperationFact
from treasury.payouts import service as payouts_service

VIEWS = ("bi_purchases", "bi_payouts", "bi_daily_volume", "bi_fees", "bi_time_to_confirm", "bi_refusals")
DAY = datetime(2026, 11, 1, 12, tzinfo=UTC)
MUSD, USDC = 10**18, 10**6
SECRETS = (BUYER, OTHER, "ons_", "cos_", "order-17", "shop.example", "0xab")


async def fill(database: Database) -> None:
    """Store ten confirmed purchases of 100 dollars that took 1 to 10 seconds, one that was refused, and a rejected payout."""
    await insert_paid_sessions(
        database, *((f"ons_{number}", BUYER, 99 * MUSD) for number in range(1, 11)), ("ons_x", OTHER, 1)
    )
    private = {
        "reference": "order-17",
        "return_url": "https://shop.example/x",
        "tx_hash": "0xab",
        "attention": f"{OTHER} is odd",
    }
    paid = {
        "source_minor": 10_000,
        "delivered_units": 100 * USDC,
        "created_at": DAY,
        "paid_at": DAY,
        "delivery_status": "confirmed",
    }
    async with database.write() as conn:
        for number in range(1, 11):
            values = {**private, **paid, "received_units": 99 * MUSD, "confirmed_at": DAY + timedelta(seconds=number)}
            await conn.execute(sa.update(sessions).where(sessions.c.id == f"ons_{number}").values(**values))
        refused = {"paid_at": None, "payment_status": "rejected", "refusal_code": "echo_mismatch", "created_at": DAY}
        await conn.execute(sa.update(sessions).where(sessions.c.id == "ons_x").values(**refused))
        payout_id = await payouts_service.create_payout(
            conn, session_id="ons_1", stripe_session_id="cos_1", to=BUYER, amount=99 * MUSD, token=TOKEN, wallet=HOT_WALLET,
            now=DAY, ids=RandomIds(),
        )  # fmt: skip
        await payouts_service.move(conn, payout_id, OperationFact.REJECTED, now=DAY)


async def read(database: Database, query: str) -> list[tuple[object, ...]]:
    async with database.read() as conn:
        return [tuple(row) for row in await conn.execute(sa.text(query))]


async def test_each_view_answers_with_what_was_sold(database: Database) -> None:
    await fill(database)
    counts = await read(
        database, "SELECT status, count(*), min(source_amount) FROM bi_purchases GROUP BY status ORDER BY status"
    )
    assert [(status, count) for status, count, _ in counts] == [("completed", 10), ("rejected", 1)]
    ((amount, payout_id),) = await read(
        database, "SELECT amount, id FROM bi_payouts WHERE status = 'rejected' AND created_on = '2026-11-01'"
    )
    assert (float(str(amount)), str(payout_id)[:4]) == (99.0, "pay_")
    assert await read(database, "SELECT count(*) FROM bi_purchases WHERE payout_id IS NOT NULL") == [(1,)]
    (volume,) = await read(
        database, "SELECT purchases, paid, completed, source_amount_paid, musd_received FROM bi_daily_volume"
    )
    assert [float(str(value)) for value in volume] == [11, 10, 10, 1000, 990]
    ((purchases, kept),) = await read(database, "SELECT purchases, kept FROM bi_fees")
    assert (purchases, float(str(kept))) == (10, 10.0)
    (times,) = await read(database, "SELECT purchases, average, median, p95, longest FROM bi_time_to_confirm")
    assert [round(float(str(value)), 2) for value in times] == [10, 5.5, 5, 10, 10]
    assert set(await read(database, "SELECT step, reason, purchases FROM bi_refusals")) == {
        ("creation", "echo_mismatch", 1), ("payout", "rejected", 1),
    }  # fmt: skip


async def test_no_view_holds_what_names_a_person_or_opens_a_purchase(database: Database) -> None:
    await fill(database)
    for view in VIEWS:
        text = str(await read(database, f"SELECT * FROM {view}"))
        assert [secret for secret in SECRETS if secret.lower() in text.lower()] == [], view


async def test_the_documented_role_reads_the_views_and_no_table(postgres_url: str) -> None:
    statements = (ROOT / "docs/bi.md").read_text().partition("```sql")[2].partition("```")[0]
    owner = connect(postgres_url)
    await fill(owner)
    async with owner.engine.connect() as conn:
        for statement in filter(None, map(str.strip, statements.split(";"))):
            await conn.execute(sa.text(statement))
        await conn.execute(sa.text("SET ROLE onramp_reports"))
        for view in VIEWS:
            assert (await conn.execute(sa.text(f"SELECT count(*) FROM {view}"))).scalar_one() > 0
        with pytest.raises(ProgrammingError, match="permission denied"):
            await conn.execute(sa.text("SELECT count(*) FROM sessions"))
        await conn.rollback()
    await owner.close()
