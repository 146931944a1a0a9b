"""What one wallet may buy in a day and in a month: checked at create, and again before it is paid out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from kit.clock import SystemClock
from kit.db.database import Database
from kit.ids import RandomIds
from kit.money import Money
from onramp.bootstrap.factories import session_config
from onramp.config.loader import SettingsError, load
from onramp.screening.sanctions_list import Screening, ScreeningMetrics
from onramp.sessions import purchase_limits, stock
from onramp.sessions.model import intent_row
from onramp.sessions.table import sessions
from onramp.treasury.policy_source import active_policy
from tests.support.service import HOT_WALLET, Service, Start
from treasury.core.facts import OperationFact
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.payouts.table import payouts as payouts_table

BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
OTHER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
TOKEN = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"
NOW = datetime.now(UTC)
UNIT = 10**18


async def mark(service: Service, session: dict[str, Any], status: str, age: timedelta = timedelta(0)) -> None:
    """Set a session to this status, as of this time ago."""
    values = {"payment_status": status, "created_at": NOW - age, "payment_updated_at": NOW - age}
    async with service.database.write() as conn:
        await conn.execute(sa.update(sessions).where(sessions.c.id == session["id"]).values(**values))


async def test_a_wallet_buys_up_to_its_day_and_its_month_and_no_more(start: Start) -> None:
    service = await start(WALLET_DAILY_LIMIT="100", WALLET_MONTHLY_LIMIT="150.50")
    _, begun = await service.create(sourceAmount="100")
    status, again = await service.create(sourceAmount="100")
    assert status == 201, "an unpaid purchase uses up nothing"
    await mark(service, begun, "fulfillment_complete")
    status, problem = await service.create(sourceAmount="1")
    assert (status, problem["code"]) == (422, "wallet_limit")
    assert "100.00 in 24 hours" in problem["detail"]
    assert (await service.create(walletAddress=OTHER, sourceAmount="100"))[0] == 201
    await mark(service, begun, "fulfillment_complete", timedelta(hours=25))
    status, problem = await service.create(sourceAmount="51")
    assert (status, problem["code"], "150.50 in 30 days" in problem["detail"]) == (422, "wallet_limit", True)
    assert (await service.create(sourceAmount="50.50"))[0] == 201
    await mark(service, again, "fulfillment_processing")
    assert (await service.create(sourceAmount="1"))[0] == 422, "another is being paid"


@pytest.mark.parametrize("status", ["created", "initialized", "requires_payment", "expired", "rejected"])
async def test_unpaid_purchases_do_not_use_up_a_wallets_limit(start: Start, database_url: str, status: str) -> None:
    service = await start(url=database_url, WALLET_DAILY_LIMIT="500", WALLET_MONTHLY_LIMIT="500")
    for _ in range(3):
        _, begun = await service.create(sourceAmount="500")
        await mark(service, begun, status)
    assert (await service.create(sourceAmount="500"))[0] == 201, (
        "the wallet's owner buys as if no one had begun a purchase"
    )


async def test_a_repeated_create_returns_its_purchase_whatever_was_bought_since(start: Start) -> None:
    service = await start(WALLET_DAILY_LIMIT="100")
    key = "a-key-of-enough-length"
    _, begun = await service.create(key, sourceAmount="100")
    await mark(service, begun, "fulfillment_complete")
    status, again = await service.create(key, sourceAmount="100")
    assert (status, again["id"]) == (201, begun["id"])
    assert (await service.create("another-key-of-enough-length", sourceAmount="100"))[0] == 422


async def owed(database: Database, number: int, amount: int, to: str = BUYER, age: timedelta = timedelta(0)) -> Payout:
    async with database.write() as conn:
        payout_id = await payouts_service.create_payout(
            conn, session_id=f"ons_{number}", stripe_session_id=f"cos_{number}", to=to, amount=amount, token=TOKEN,
            wallet=HOT_WALLET, now=NOW - age, ids=RandomIds(),
        )  # fmt: skip
        payout = await payouts_service.get(conn, payout_id)
    assert payout is not None
    return payout


async def pay(database: Database, payout: Payout) -> None:
    """Set the payout as if it had a nonce."""
    async with database.write() as conn:
        given = sa.update(payouts_table).where(payouts_table.c.id == payout.id)
        await conn.execute(given.values(transaction_id="txn_" + payout.id))


async def test_a_payout_above_what_its_recipient_may_get_waits_for_a_person(database: Database) -> None:
    rules = replace(
        session_config(load(SETTLEMENT_ADDRESS=OTHER, HOT_WALLET_ADDRESS=HOT_WALLET)), wallet_day_minor=10_000
    )
    await pay(database, await owed(database, 1, 60 * UNIT))
    await pay(database, await owed(database, 2, 90 * UNIT, age=timedelta(hours=25)))
    rejected = await owed(database, 3, 90 * UNIT)
    async with database.write() as conn:
        await payouts_service.move(conn, rejected.id, OperationFact.REJECTED, now=NOW, reason=None)
    queue = [await owed(database, 4, 40 * UNIT), await owed(database, 5, 1), await owed(database, 6, 100 * UNIT, OTHER)]
    async with database.read() as conn:
        exceeded = await purchase_limits.payouts_above(conn, rules, queue, NOW)
        monthly = await purchase_limits.payouts_above(conn, replace(rules, wallet_month_minor=19_000), queue[:1], NOW)
        free = await purchase_limits.payouts_above(conn, replace(rules, wallet_day_minor=None), queue, NOW)
    assert exceeded == [None, "WALLET_DAILY_LIMIT: its recipient would get more than 100.00 MUSD in 24 hours", None]
    assert monthly == [None] and free == [None] * 3
    async with database.read() as conn:
        monthly = await purchase_limits.payouts_above(conn, replace(rules, wallet_month_minor=18_999), queue[:1], NOW)
    assert monthly[0] is not None and monthly[0].startswith("WALLET_MONTHLY_LIMIT")


async def test_wallet_limits_apply_together_with_the_policys_limits(service: Service) -> None:
    settings = load(SETTLEMENT_ADDRESS=OTHER, HOT_WALLET_ADDRESS=HOT_WALLET, WALLET_DAILY_LIMIT="100")
    clock, metrics = SystemClock(), ScreeningMetrics(CollectorRegistry())
    policy = active_policy(settings, session_config(settings), HOT_WALLET, Screening("", clock, metrics))
    queue = [await owed(service.database, 1, 20_000 * UNIT), await owed(service.database, 2, 101 * UNIT, OTHER)]
    async with service.database.read() as conn:
        exceeded = await policy.exceeded_limits(conn, queue, NOW)
    assert [(problem or "").partition(":")[0] for problem in exceeded] == [
        "payouts.approval_above",
        "WALLET_DAILY_LIMIT",
    ]


def test_a_limit_that_is_no_amount_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="WALLET_DAILY_LIMIT"):
        load(WALLET_DAILY_LIMIT="much")


async def test_a_payout_above_what_one_purchase_may_deliver_waits_for_a_person(database: Database) -> None:
    """A buyer may change the amount on Stripe's page; a euro may deliver more than a dollar."""
    rules = session_config(load(SESSION_MAX_AMOUNT="100", HOT_WALLET_ADDRESS=HOT_WALLET, MUSD_TOKEN_ADDRESS=TOKEN))
    amounts = [
        ("usd", 100 * UNIT),
        ("usd", 100 * UNIT + 1),
        ("eur", 150 * UNIT),
        ("eur", 150 * UNIT + 1),
        ("gbp", 101 * UNIT),
    ]
    clock, ids = SystemClock(), RandomIds()
    queue: list[Payout] = []
    async with database.write() as conn:
        for number, (currency, amount) in enumerate(amounts):
            row = intent_row(
                rules,
                session_id=f"ons_{number}",
                wallet=BUYER,
                source=Money(100, currency),
                fee_bps=0,
                created_at=NOW,
                now=NOW,
            )
            await conn.execute(sa.insert(sessions), [row])
            made = await payouts_service.create_payout(
                conn, session_id=f"ons_{number}", stripe_session_id=f"cos_{number}", to=BUYER, amount=amount, token=TOKEN,
                wallet=HOT_WALLET, now=clock.now(), ids=ids,
            )  # fmt: skip
            payout = await payouts_service.get(conn, made)
            assert payout is not None
            queue.append(payout)
    async with database.read() as conn:
        exceeded = await purchase_limits.payouts_above(conn, rules, queue, NOW)
    assert [one is not None for one in exceeded] == [False, True, False, True, True]
    assert (
        exceeded[1]
        == "SESSION_MAX_AMOUNT: it is above 100.00 MUSD, the most that one purchase may deliver without approval"
    )


async def test_a_row_in_another_currency_or_of_an_absurd_amount_blocks_no_purchase(service: Service) -> None:
    odd = [("gbp", 500), ("jpy", 0), ("xxx", -(2**62)), ("usd", 500)]
    rules = session_config(load(HOT_WALLET_ADDRESS=HOT_WALLET, MUSD_TOKEN_ADDRESS=TOKEN, SETTLEMENT_ADDRESS=OTHER))
    async with service.database.write() as conn:
        for number, (currency, minor) in enumerate(odd):
            row = intent_row(
                rules,
                session_id=f"ons_{number}",
                wallet=BUYER,
                source=Money(minor, currency),
                fee_bps=0,
                created_at=NOW,
                now=NOW,
            )
            await conn.execute(sa.insert(sessions), [row | {"payment_status": "fulfillment_processing"}])
        assert await stock.processing(conn) == (500 * 4 + 500) * stock.UNITS_PER_MINOR
    assert (await service.create(sourceAmount="5"))[0] == 201
    async with service.database.write() as conn:
        await conn.execute(sa.update(sessions).where(sessions.c.id == "ons_0").values(source_minor=2**63 - 1))
        await conn.execute(sa.update(sessions).where(sessions.c.id == "ons_1").values(source_minor=2**63 - 1))
        # Both count as much as any purchase can, and no sum overflows.
        assert await stock.processing(conn) < 2**256


async def test_an_absurd_payout_that_waits_for_a_person_blocks_no_purchase(service: Service) -> None:
    for number, (status, reason) in enumerate(
        [("awaiting_approval", "awaiting_approval"), ("held", "payment_mismatch")]
    ):
        async with service.database.write() as conn:
            made = await payouts_service.create_payout(
                conn, session_id=f"ons_{number}", stripe_session_id=f"cos_{number}", to=BUYER, amount=10**40, token=TOKEN,
                wallet=HOT_WALLET, now=NOW, ids=RandomIds(),
            )  # fmt: skip
            here = payouts_table.c.id == made
            await conn.execute(sa.update(payouts_table).where(here).values(status=status, reason=reason))
    assert (await service.create(sourceAmount="5"))[0] == 201
    async with service.database.write() as conn:
        await conn.execute(sa.update(payouts_table).values(status="approved", reason=None))
    answer, problem = await service.create(sourceAmount="5")
    assert (answer, problem["code"]) == (503, "inventory_low"), "once a person approved it, it is counted"
