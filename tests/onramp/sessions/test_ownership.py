"""Ownership of a session: every mark in Stripe's metadata must be ours before anything is rebuilt, linked or paid."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from onramp.bootstrap.container import Container
from onramp.deployment.table import deployments as deployment_table
from onramp.sessions import service as sessions_service
from onramp.sessions.payment_proof import StripePaymentProof
from onramp.sessions.table import sessions
from tests.support.clocks import OffsetClock
from tests.support.deployments import payouts_of, row_of
from tests.support.service import HOT_WALLET, Service, Start, replica
from treasury.ports import NotOwed, Owed

OTHER = "0x976EA74026E726554dB657fA54763abd0C3a0aa9"


@asynccontextmanager
async def sold(
    start: Start, url: str, *, lost: bool, status: str = "fulfillment_complete", **more: Any
) -> AsyncIterator[tuple[Service, Container, dict[str, Any], dict[str, Any]]]:
    """A session at Stripe, which the database has lost or still holds; no worker reads it by itself."""
    service = await start(url=url, **more)
    _, made = await service.create()
    if lost:
        async with service.database.write() as conn:
            await conn.execute(sa.delete(sessions))
    fact = service.sandbox.store.get(made["payment"]["stripeSessionId"])
    service.sandbox.walk(fact, status, {}, "none")
    async with replica(url, service, OffsetClock(), (), **more) as container:
        yield service, container, made, fact


def counts(container: Container) -> dict[str, float]:
    found = container.registry.collect()
    samples = [one for family in found if family.name == "onramp_sessions_ignored" for one in family.samples]
    return {one.labels["reason"]: one.value for one in samples if one.name.endswith("_total") and one.value}


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        ({"onramp_deployment": "dep_other"}, "other_deployment"),
        ({"onramp_deployment": None}, "unmarked"),
        ({"onramp_deployment": None, "onramp_chain_id": None, "onramp_hot_wallet": None}, "unmarked"),
        ({"onramp_chain_id": "31612"}, "other_chain"),
        ({"onramp_chain_id": "0x7b7b"}, "other_chain"),
        ({"onramp_chain_id": None}, "other_chain"),
        ({"onramp_hot_wallet": None}, "malformed"),
        ({"onramp_hot_wallet": "0x12"}, "malformed"),
        ({"onramp_hot_wallet": HOT_WALLET.swapcase()}, "malformed"),
        ({"onramp_wallet": "nobody"}, "malformed"),
        ({"onramp_fee_bps": "10000"}, "malformed"),
        ({"onramp_fee_bps": None}, "malformed"),
        ({"onramp_session_id": None}, "not_onramp"),
        ({"onramp_session_id": "ons_" + "x" * 60}, "not_onramp"),
        ({"onramp_session_id": "ons_\u0000"}, "not_onramp"),
    ],
)
async def test_one_wrong_mark_is_enough_to_leave_a_session_alone(
    start: Start, database_url: str, edits: dict[str, str | None], reason: str
) -> None:
    async with sold(start, database_url, lost=True) as (service, container, made, fact):
        fact["metadata"] = {name: text for name, text in (fact["metadata"] | edits).items() if text is not None}
        for _ in range(2):
            assert await container.refresher.refresh(fact["id"]) is None
        assert counts(container) == {reason: 1}
        assert (await service.stored(), await payouts_of(service.database)) == (0, [])
        assert await row_of(service.database, made["id"]) is None


@pytest.mark.parametrize("status", ["requires_payment", "fulfillment_processing", "fulfillment_complete"])
@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        ({"source_currency": "gbp"}, "currency"),
        ({"source_currency": None}, "currency"),
        ({"source_currency": "usdollar"}, "currency"),
        ({"source_amount": None}, "amount"),
        ({"source_amount": "0.00"}, "amount"),
        ({"source_amount": "0.001"}, "amount"),
        ({"source_amount": "-5.00"}, "amount"),
        ({"source_amount": "1e3"}, "amount"),
        ({"source_amount": "NaN"}, "amount"),
        ({"source_amount": "9" * 40}, "amount"),
    ],
)
async def test_a_session_that_we_did_not_sell_is_not_rebuilt_and_sales_go_on(
    start: Start, sqlite_url: str, edits: dict[str, str | None], reason: str, status: str
) -> None:
    async with sold(start, sqlite_url, lost=True, status=status) as (service, container, _, fact):
        fact["transaction_details"] |= edits
        assert await container.refresher.refresh(fact["id"]) is None
        assert counts(container) == {reason: 1}
        assert await service.stored() == 0
        assert (await service.create())[0] == 201


async def test_an_upper_case_currency_is_the_same_currency(start: Start, sqlite_url: str) -> None:
    async with sold(start, sqlite_url, lost=True) as (service, container, made, fact):
        fact["transaction_details"]["source_currency"] = "USD"
        assert await container.refresher.refresh(fact["id"]) is not None
        assert (await row_of(service.database, made["id"])).source_currency == "usd"
        assert len(await payouts_of(service.database)) == 1


@pytest.mark.parametrize(
    ("row", "metadata"),
    [
        # A row copied from another deployment's database, as it is and with our id written over it.
        ({"deployment_id": "dep_other"}, {"onramp_deployment": "dep_other"}),
        ({}, {"onramp_deployment": "dep_other"}),
        # A row without its marks, as if it had been sold before marks existed.
        ({"deployment_id": None, "chain_id": None, "hot_wallet": None}, {}),
        ({"chain_id": 31612}, {"onramp_chain_id": "31612"}),
        ({}, {"onramp_chain_id": "31612"}),
        ({}, {"onramp_hot_wallet": OTHER}),
        ({"hot_wallet": OTHER}, {}),
        ({}, {"onramp_deployment": None, "onramp_chain_id": None, "onramp_hot_wallet": None}),
    ],
)
async def test_a_row_that_stripe_contradicts_owes_nothing(
    start: Start, database_url: str, row: dict[str, Any], metadata: dict[str, str | None]
) -> None:
    async with sold(start, database_url, lost=False) as (service, container, made, fact):
        fact["metadata"] = {name: text for name, text in (fact["metadata"] | metadata).items() if text is not None}
        if row:
            async with service.database.write() as conn:
                await conn.execute(sa.update(sessions).values(**row))
        applied = await container.refresher.refresh(fact["id"])
        assert applied is not None
        assert not applied.owes
        assert await payouts_of(service.database) == []
        assert "nothing was paid out" in (await row_of(service.database, made["id"])).attention
        assert isinstance(await proof(container).owed(made["id"], fact["id"]), NotOwed)


def proof(container: Container) -> StripePaymentProof:
    return StripePaymentProof(
        container.database,
        container.stripe,
        container.rules,
        container.deployment,
        container.earlier,
        container.settings.ring,
    )


async def test_the_treasury_asks_stripe_whose_it_is_again_before_it_signs(start: Start, database_url: str) -> None:
    async with sold(start, database_url, lost=False) as (service, container, made, fact):
        await container.refresher.refresh(fact["id"])
        assert len(await payouts_of(service.database)) == 1
        owed = await proof(container).owed(made["id"], fact["id"])
        assert isinstance(owed, Owed)
        assert owed.to == made["walletAddress"]
        for name, text in (("onramp_deployment", "dep_other"), ("onramp_chain_id", "1"), ("onramp_hot_wallet", OTHER)):
            before = fact["metadata"]
            fact["metadata"] = before | {name: text}
            assert isinstance(await proof(container).owed(made["id"], fact["id"]), NotOwed)
            fact["metadata"] = before


@pytest.mark.parametrize(("hours", "owes"), [(1, True), (-1, False), (None, False)])
async def test_a_sale_from_before_the_marks_is_owed_by_a_database_that_sold_then(
    start: Start, database_url: str, hours: int | None, owes: bool
) -> None:
    service = await start(url=database_url)
    until = None if hours is None else datetime.now(UTC) + timedelta(hours=hours)
    _, made = await service.create()
    async with service.database.write() as conn:
        unmarked = {"deployment_id": None, "chain_id": None, "hot_wallet": None}
        await conn.execute(sa.update(sessions).values(**unmarked))
        await conn.execute(sa.update(deployment_table).values(unmarked_until=until))
    fact = service.sandbox.store.get(made["payment"]["stripeSessionId"])
    keys = ("onramp_session_id", "onramp_wallet", "onramp_fee_bps")
    fact["metadata"] = {name: fact["metadata"][name] for name in keys}
    service.sandbox.walk(fact, "fulfillment_complete", {}, "none")
    async with replica(database_url, service, OffsetClock(), ()) as container:
        applied = await container.refresher.refresh(fact["id"])
        assert applied is not None
        assert applied.owes is owes
        assert isinstance(await proof(container).owed(made["id"], fact["id"]), Owed) is owes


async def test_a_cut_off_create_is_finished_only_with_a_session_of_the_same_marks(
    start: Start, database_url: str
) -> None:
    async with sold(start, database_url, lost=False) as (service, container, made, fact):
        async with service.database.write() as conn:
            cut_off = {"stripe_session_id": None, "payment_status": "created"}
            await conn.execute(sa.update(sessions).values(**cut_off))
        before = fact["metadata"]
        fact["metadata"] = before | {"onramp_deployment": "dep_other"}
        assert await container.refresher.refresh(fact["id"]) is None
        assert counts(container) == {"contradicted": 1}
        assert await payouts_of(service.database) == []
        fact["metadata"] = before
        applied = await container.refresher.refresh(fact["id"])
        assert applied is not None
        assert applied.owes
        assert (await row_of(service.database, made["id"])).stripe_session_id == fact["id"]


async def test_a_retry_asks_stripe_the_same_after_an_upgrade_and_a_rotation(start: Start, sqlite_url: str) -> None:
    """Stripe refuses other metadata under the same idempotency key, so a row keeps the metadata of its request."""
    async with sold(start, sqlite_url, lost=False) as (service, container, made, fact):
        async with container.database.read() as conn:
            row = await conn.execute(sa.select(sessions))
        assert row.one().hot_wallet == HOT_WALLET
        for changes, names in (({"hot_wallet": OTHER}, 6), ({"deployment_id": None}, 3)):
            async with service.database.write() as conn:
                await conn.execute(sa.update(sessions).values(**changes))
            async with container.database.read() as conn:
                session = await sessions_service.get(conn, made["id"])
            assert session is not None
            metadata = container.creator.stripe_params(session, None).metadata
            assert len(metadata) == names
            assert metadata.get("onramp_hot_wallet") == (OTHER if names == 6 else None)
        assert fact["metadata"]["onramp_hot_wallet"] == HOT_WALLET


async def test_observe_mode_names_no_wallet_and_rebuilds_what_it_sold(start: Start, database_url: str) -> None:
    observe = {"DELIVERY_MODE": "observe", "DELIVERY_SENDERS": OTHER}
    async with sold(start, database_url, lost=True, **observe) as (service, container, made, fact):
        assert "onramp_hot_wallet" not in fact["metadata"]
        assert fact["metadata"]["onramp_deployment"].startswith("dep_")
        assert await container.refresher.refresh(fact["id"]) is not None
        assert (await row_of(service.database, made["id"])).mode == "observe"
        assert await payouts_of(service.database) == []
