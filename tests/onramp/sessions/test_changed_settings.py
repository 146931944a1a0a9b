"""Settings that change between a purchase and its payment: it is paid as it was sold, or it alone waits and shows the reason."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from onramp.dev.chain.devchain import DevChain
from onramp.dev.stripe.faults import Fault, FaultKind
from onramp.sessions import settlement_addresses as settlements
from onramp.sessions.payment_proof import StripePaymentProof
from onramp.sessions.settlement_addresses import settlement_addresses
from onramp.sessions.table import sessions
from tests.support.clocks import OffsetClock
from tests.support.payout_service import WORKERS, funded_wallet
from tests.support.service import SETTLEMENT, Service, Start, replica
from treasury.payouts.table import payouts
from treasury.ports import NotOwed, Owed, ProofUnavailable

OTHER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
THIRD = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"
KEYS = (bytes(range(32)), bytes(range(1, 33)))


async def advance(service: Service, made: dict[str, Any], amount: str = "5.00") -> None:
    url = f"{service.stripe}/sandbox/onramp_sessions/{made['payment']['stripeSessionId']}/advance"
    body = {"status": "fulfillment_complete", "destination_amount": amount, "events": "once"}
    async with service.http.post(url, json=body) as answer:
        assert answer.status == 200, await answer.text()


async def read(service: Service, session_id: str) -> dict[str, Any]:
    async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{session_id}") as answer:
        assert answer.status == 200
        found: dict[str, Any] = await answer.json()
        return found


async def until(service: Service, session_id: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(90):
        while (found := await read(service, session_id))["status"] != status:
            await asyncio.sleep(0.2)
    return found


async def payout(service: Service, session_id: str) -> Any:
    async with service.database.read() as conn:
        return (await conn.execute(sa.select(payouts).where(payouts.c.session_id == session_id))).one_or_none()


async def until_held(service: Service, session_id: str, reason: str) -> None:
    async with asyncio.timeout(60):
        while (row := await payout(service, session_id)) is None or (row.status, row.reason) != ("held", reason):
            await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    "after",
    [
        {"SETTLEMENT_ADDRESS": OTHER},
        {"SETTLEMENT_ADDRESS": SETTLEMENT.lower(), "PAYOUT_FEE_BPS": 100},
        {"STRIPE_DESTINATION_NETWORK": "base", "SETTLEMENT_ADDRESS": OTHER},
    ],
    ids=["settlement", "fee", "network"],
)
async def test_a_late_payment_is_paid_as_it_was_sold(
    start: Start, sqlite_url: str, chain: DevChain, tmp_path: Path, after: dict[str, Any]
) -> None:
    _, settings = await funded_wallet(chain, tmp_path)
    service = await start(**settings)
    service.sandbox.sender.endpoint.url = f"{service.api}/api/v1/webhooks/stripe"
    made: list[dict[str, Any]] = []
    async with replica(sqlite_url, service, OffsetClock(), WORKERS, **settings):
        async with asyncio.timeout(60):
            while len(made) < 2:
                status, body = await service.create(sourceAmount="5")
                made += [body] if status == 201 else []
                await asyncio.sleep(0.2)
    late, forged = made
    async with service.database.write() as conn:
        # As an intruder with access to the database would: no start has recorded this address.
        await conn.execute(sa.update(sessions).where(sessions.c.id == forged["id"]).values(locked_address=THIRD))
    details = service.sandbox.store.sessions.get(forged["payment"]["stripeSessionId"])["transaction_details"]
    details["wallet_address"] = THIRD
    async with replica(sqlite_url, service, OffsetClock(), WORKERS, **settings, **after):
        for one in made:
            await advance(service, one)
        done = await until(service, late["id"], "completed")
        assert done["delivery"]["expectedAmount"] == "5.00"
        await until_held(service, forged["id"], "payment_mismatch")
        async with asyncio.timeout(60):
            # Until the held payout is shown, the session may show why it waited in the queue.
            while (await read(service, forged["id"]))["delivery"]["reason"] not in {None, "awaiting_approval"}:
                await asyncio.sleep(0.2)
    assert (await payout(service, forged["id"])).transaction_id is None


async def test_only_what_a_start_recorded_under_our_key_is_ours(database: Database) -> None:
    now, ring = datetime.now(UTC), KeyRing(KEYS[:1], "onramp")

    async def is_ours(address: str, keys: KeyRing = ring) -> bool:
        async with database.read() as conn:
            return await settlements.is_ours(conn, keys, address)

    assert not await is_ours(SETTLEMENT)
    await settlements.record(database, ring, SETTLEMENT, now=now)
    await settlements.record(database, ring, OTHER, now=now)
    assert await is_ours(SETTLEMENT)
    assert await is_ours(SETTLEMENT.lower())
    assert not await is_ours("")
    async with database.read() as conn:
        mac = (await conn.execute(sa.select(settlement_addresses.c.mac))).scalars().first()
    async with database.write() as conn:
        row = {"id": THIRD, "mac": mac, "first_used_at": now}
        await conn.execute(sa.insert(settlement_addresses), [row])
    assert not await is_ours(THIRD), "a MAC of another address is not valid"
    both = KeyRing([KEYS[1], KEYS[0]], "onramp")
    assert await is_ours(SETTLEMENT, both)
    assert not await is_ours(SETTLEMENT, KeyRing(KEYS[1:], "onramp"))
    await settlements.record(database, both, OTHER, now=now)
    assert await is_ours(SETTLEMENT, KeyRing(KEYS[1:], "onramp")), (
        "kept under the newest key, so that the older one may go"
    )
    assert not await is_ours(THIRD, both), "what was forged stays so"


ODD: list[tuple[str, Any]] = [
    ("destination_amount", None), ("destination_amount", "1e3"), ("destination_currency", "gbp"), ("destination_network", "solana"),
    ("destination_network", None), ("wallet_address", None), ("wallet_address", "nobody"), ("metadata", {}), ("status", "another"),
]  # fmt: skip


async def test_a_payout_is_owed_only_if_every_field_of_stripes_session_matches(
    service: Service, sqlite_url: str
) -> None:
    _, made = await service.create(sourceAmount="5")
    stripe_id = made["payment"]["stripeSessionId"]
    async with replica(sqlite_url, service, OffsetClock(), ()) as container:
        proof = StripePaymentProof(
            container.database,
            container.stripe,
            container.rules,
            container.deployment,
            container.earlier,
            container.settings.ring,
        )
        found = await proof.owed(made["id"], stripe_id)
        assert isinstance(found, NotOwed)
        assert "initialized" in found.why
        await advance(service, made)
        assert isinstance(await proof.owed(made["id"], stripe_id), Owed)
        assert isinstance(await proof.owed(made["id"], "cos_another"), NotOwed)
        stored = service.sandbox.store.sessions.get(stripe_id)
        for field, value in ODD:
            place = stored if field in stored else stored["transaction_details"]
            was, place[field] = place[field], value
            found = await proof.owed(made["id"], stripe_id)
            assert isinstance(found, NotOwed), (field, value)
            place[field] = was
        service.sandbox.faults.waiting.append(Fault(kind=FaultKind.ERROR, status=401))
        with pytest.raises(ProofUnavailable):
            await proof.owed(made["id"], stripe_id)
