"""Ten thousand events at once, repeated, with twins, out of order, a tenth of them lost: every session ends in its true state."""

import asyncio
import hashlib
import hmac
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from onramp.dev.stripe.app import Sandbox
from onramp.sessions.model import expected_musd
from onramp.sessions.table import sessions
from onramp.webhooks.table import inbox
from tests.support.clocks import OffsetClock
from tests.support.service import SECRETS, Service, Start, replica
from treasury.payouts.table import payouts

pytestmark = pytest.mark.starts_first

PROVE = bool(os.environ.get("PROVE"))
SESSIONS = 600 if PROVE else 300
DELIVERIES = 10_000 if PROVE else 4_000
LOST = 0.10
CONNECTIONS = 32
ENDS = {
    "fulfillment_complete": 60,
    "rejected": 12,
    "fulfillment_processing": 10,
    "requires_payment": 10,
    "initialized": 8,
}


def signed(body: bytes) -> dict[str, str]:
    moment = int(time.time())
    mac = hmac.digest(SECRETS[0].encode(), f"{moment}.".encode() + body, hashlib.sha256).hex()
    return {"Stripe-Signature": f"t={moment},v1={mac}", "Content-Type": "application/json"}


def storm(events: Sequence[dict[str, Any]], count: int, chance: random.Random) -> list[bytes]:
    """Return `count` deliveries of the events that were not lost, in random order: each event, twins of some under other ids, and copies of both."""
    kept = [event for event in events if chance.random() >= LOST]
    twins = [event | {"id": event["id"] + "twin"} for event in kept if chance.random() < 0.3]
    once = [orjson.dumps(event) for event in (*kept, *twins)]
    bodies = [*once, *chance.choices(once, k=max(0, count - len(once)))]
    chance.shuffle(bodies)
    return bodies


async def deliver(service: Service, bodies: Sequence[bytes]) -> Counter[int]:
    waiting = iter(bodies)
    answers: Counter[int] = Counter()

    async def conn() -> None:
        for body in waiting:
            async with service.http.post(
                f"{service.api}/api/v1/webhooks/stripe", data=body, headers=signed(body)
            ) as answer:
                await answer.read()
                answers[answer.status] += 1

    await asyncio.gather(*(conn() for _ in range(CONNECTIONS)))
    return answers


async def unsettled(service: Service, sandbox: Sandbox) -> list[str]:
    async with service.database.read() as conn:
        rows = await conn.execute(sa.select(sessions.c.stripe_session_id, sessions.c.payment_status))
        ours = {row.stripe_session_id: row.payment_status for row in rows}
        pending = await conn.execute(sa.select(sa.func.count()).select_from(inbox).where(inbox.c.state == "pending"))
    wrong = [fact["id"] for fact in sandbox.store.sessions if ours.get(fact["id"]) != fact["status"]]
    return wrong + ["pending events"] * bool(pending.scalar_one())


async def test_a_storm_leaves_every_session_in_its_true_state(start: Start, postgres_url: str) -> None:
    chance = random.Random(20261121)
    service = await start(url=postgres_url, stock=10**30, RATE_LIMIT_CREATE="")
    sandbox, clock = service.sandbox, OffsetClock()
    made = await asyncio.gather(
        *(service.create(f"storm-of-events-{number:06}", sourceAmount=str(5 + number)) for number in range(SESSIONS))
    )
    assert {status for status, _ in made} == {201}
    ends = {fact["id"]: chance.choices(list(ENDS), list(ENDS.values()))[0] for fact in sandbox.store.sessions}
    async with replica(postgres_url, service, clock), replica(postgres_url, service, clock):
        # Half of the purchases move on while events of their beginnings are still arriving.
        for fact in sandbox.store.sessions:
            if ends[fact["id"]] != "initialized":
                sandbox.walk(fact, "requires_payment", {}, "none")
        early = storm(list(sandbox.sender.events), DELIVERIES // 4, chance)
        answers = await deliver(service, early)
        for fact in sandbox.store.sessions:
            end = ends[fact["id"]]
            if end not in {"initialized", "requires_payment"}:
                edited = {"destination_amount": "4.123456"} if chance.random() < 0.1 else {}
                sandbox.walk(fact, end, edited, "none")
        late = storm(list(sandbox.sender.events), DELIVERIES - len(early), chance)
        answers += await deliver(service, late)
        assert answers == {200: DELIVERIES}
        for _ in range(400):
            clock.ahead += timedelta(seconds=5)
            if not await unsettled(service, sandbox):
                break
            await asyncio.sleep(0.25)
    assert await unsettled(service, sandbox) == []
    await true_to_the_last_unit(service, sandbox, early + late)


async def true_to_the_last_unit(service: Service, sandbox: Sandbox, bodies: Sequence[bytes]) -> None:
    async with service.database.read() as conn:
        stored = (await conn.execute(sa.select(sa.func.count()).select_from(inbox))).scalar_one()
        owed = {row.session_id: row for row in await conn.execute(sa.select(payouts))}
        rows_by_id = {row.stripe_session_id: row for row in await conn.execute(sa.select(sessions))}
    assert stored == len({orjson.loads(body)["id"] for body in bodies})
    complete = [fact for fact in sandbox.store.sessions if fact["status"] == "fulfillment_complete"]
    assert len(complete) > SESSIONS // 3
    assert len(owed) == len(complete)
    for fact in complete:
        row = rows_by_id[fact["id"]]
        whole, _, fraction = fact["transaction_details"]["destination_amount"].partition(".")
        delivered = int(whole + fraction.ljust(6, "0"))
        assert row.delivered_units == delivered
        assert owed[row.id].amount == row.expected_units == expected_musd(delivered, 0)
        assert owed[row.id].to_address == row.wallet_address
