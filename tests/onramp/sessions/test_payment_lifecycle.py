"""The payment of a purchase when facts arrive late, twice, wrong or never, and the streams that watch it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from kit.state import Moved, Refused, Same
from onramp.sessions.change_feed import ChangeFeed
from onramp.sessions.states import OPEN, PAID, RANK, UNPAID, expire, initialize, refuse_creation, report
from onramp.sessions.status import PaymentStatus
from onramp.sessions.table import sessions
from tests.support.clocks import OffsetClock
from tests.support.purchases import read_session
from tests.support.service import SETTLEMENT, Service, Start, replica
from treasury.payouts.table import payouts

STATES = tuple(PaymentStatus)


async def until(service: Service, session_id: str, payment: str) -> dict[str, Any]:
    for _ in range(600):
        body = await read_session(service, session_id)
        if body["payment"]["status"] == payment:
            return body
        await asyncio.sleep(0.1)
    pytest.fail(f"{body['payment']['status']} instead of {payment}")


async def owed(service: Service) -> list[int]:
    async with service.database.read() as conn:
        return [row.amount for row in await conn.execute(sa.select(payouts))]


@pytest.mark.parametrize("status", STATES)
@pytest.mark.parametrize("fact", [*RANK, "rejected"])
def test_a_payment_status_only_moves_forward_and_a_paid_one_stays_paid(status: PaymentStatus, fact: str) -> None:
    match report(status, fact):
        case Moved(reached):
            assert reached == fact
            assert status not in PAID or RANK[fact] > RANK[status]
            assert status not in {"rejected", "expired"} or fact in PAID | {"rejected"}
        case Same():
            assert not (status in UNPAID and fact in PAID)
        case Refused(reason):
            assert fact in {"rejected", "created"}, reason
    if fact == "fulfillment_complete":
        assert report(status, fact) == (Same(status) if status == fact else Moved(fact))


@pytest.mark.parametrize("status", STATES)
def test_time_alone_ends_only_unpaid_sessions(status: PaymentStatus) -> None:
    assert isinstance(expire(status), Moved) == (status in UNPAID)
    assert not (OPEN - UNPAID) - PAID


def test_an_unknown_status_changes_nothing() -> None:
    assert isinstance(report(PaymentStatus.INITIALIZED, "fulfilment_on_the_moon"), Refused)


@pytest.mark.parametrize("status", STATES)
def test_creation_never_changes_a_payment_that_goes_on_at_stripe(status: PaymentStatus) -> None:
    goes_on = status in OPEN | PAID
    assert (initialize(status) == Moved(PaymentStatus.INITIALIZED)) == (not goes_on)
    assert (initialize(status) == Same(status)) == (status is PaymentStatus.INITIALIZED)
    assert (refuse_creation(status) == Moved(PaymentStatus.REJECTED)) == (status in {"created", "expired"})
    assert isinstance(refuse_creation(status), Refused) == goes_on


async def test_an_unpaid_session_expires_and_a_late_payment_is_honoured(start: Start, sqlite_url: str) -> None:
    service, clock = await start(), OffsetClock()
    _, made = await service.create()
    async with replica(sqlite_url, service, clock):
        clock.ahead = timedelta(days=1, minutes=1)
        expired = await until(service, made["id"], "expired")
        assert expired["status"] == "expired"
        fact = service.sandbox.store.get(made["payment"]["stripeSessionId"])
        service.sandbox.walk(fact, "fulfillment_complete", {"destination_amount": "99.50"}, "none")
        clock.ahead += timedelta(minutes=2)  # no event comes; the walk over what Stripe completed finds it
        paid = await until(service, made["id"], "fulfillment_complete")
    assert paid["status"] == "delivering"
    assert await owed(service) == [99_500_000 * 10**12]


async def test_a_session_keeps_the_fee_that_it_was_created_with(start: Start, sqlite_url: str) -> None:
    service = await start(PAYOUT_FEE_BPS=150)
    _, made = await service.create()
    fact = service.sandbox.store.get(made["payment"]["stripeSessionId"])
    service.sandbox.walk(fact, "fulfillment_complete", {"destination_amount": "10.000001"}, "none")
    async with replica(sqlite_url, service, OffsetClock(), PAYOUT_FEE_BPS=9000):
        await until(service, made["id"], "fulfillment_complete")
    assert await owed(service) == [10_000_001 * 10**12 * 9_850 // 10_000]


@pytest.mark.parametrize(
    ("edits", "word"),
    [
        ({"wallet_address": "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"}, "another wallet"),
        ({"destination_currency": "eth"}, "another currency"),
        ({"destination_network": "base", "wallet_address": SETTLEMENT}, "another currency"),
        ({"destination_amount": "0.000000"}, "how much"),
        ({"destination_amount": "12.3456789"}, "how much"),
        ({"destination_amount": "1e3"}, "how much"),
        ({"destination_amount": "9" * 60}, "how much"),
    ],
)
async def test_a_session_that_was_not_paid_to_us_is_never_paid_out(
    start: Start, sqlite_url: str, edits: dict[str, str], word: str
) -> None:
    service = await start()
    _, made = await service.create()
    fact = service.sandbox.store.get(made["payment"]["stripeSessionId"])
    service.sandbox.walk(fact, "fulfillment_complete", edits, "none")
    async with replica(sqlite_url, service, OffsetClock()):
        body = await until(service, made["id"], "fulfillment_complete")
    assert body["status"] == "attention"
    assert await owed(service) == []
    async with service.database.read() as conn:
        row = (await conn.execute(sa.select(sessions.c.attention))).scalar_one()
    assert word in row


async def test_a_session_that_the_database_has_lost_is_rebuilt_and_owed_once(start: Start, sqlite_url: str) -> None:
    service = await start()
    _, made = await service.create()
    async with service.database.write() as conn:
        await conn.execute(sa.delete(sessions))
    fact = service.sandbox.store.get(made["payment"]["stripeSessionId"])
    service.sandbox.walk(fact, "fulfillment_complete", {"destination_amount": "50"}, "none")
    async with replica(sqlite_url, service, OffsetClock()), replica(sqlite_url, service, OffsetClock()):
        for _ in range(100):
            if await owed(service):
                break
            await asyncio.sleep(0.1)
        body = await until(service, made["id"], "fulfillment_complete")
    assert body["walletAddress"] == made["walletAddress"]
    assert await owed(service) == [50 * 10**18]


async def test_a_stream_sends_each_change_and_resumes(start: Start, sqlite_url: str) -> None:
    service = await start()
    _, made = await service.create()
    url = f"{service.api}/api/v1/onramp/sessions/{made['id']}/events"
    async with service.http.get(url) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        first = await event(stream)
        assert first["event"] == "session"
        assert '"initialized"' in first["data"]
        fact = service.sandbox.store.get(made["payment"]["stripeSessionId"])
        service.sandbox.walk(fact, "fulfillment_complete", {}, "none")
        async with replica(sqlite_url, service, OffsetClock()):
            second = await event(stream)
        assert '"fulfillment_complete"' in second["data"]
        assert int(second["id"]) > int(first["id"])
    async with service.http.get(url, headers={"Last-Event-ID": first["id"]}) as stream:
        assert (await event(stream))["id"] == second["id"]
    async with service.http.get(url, headers={"Last-Event-ID": second["id"]}) as stream:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(event(stream), 1.0)


async def test_a_later_listener_does_not_take_changes_from_an_earlier_one(service: Service) -> None:
    _, made = await service.create()
    live = ChangeFeed(service.database)
    before, later = live.follow(made["id"], 0), live.follow(made["id"], 0)
    await anext(before)
    waits = asyncio.ensure_future(anext(before))
    async with service.database.write() as conn:
        await conn.execute(sa.update(sessions).values(version=sessions.c.version + 1))
    changed = (await anext(later)).version
    others = asyncio.ensure_future(anext(later))
    await asyncio.sleep(0)  # both wait for what comes next
    live.start()
    assert (await asyncio.wait_for(waits, 60)).version == changed
    others.cancel()
    await live.stop()


async def event(stream: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    while True:
        line = (await asyncio.wait_for(stream.content.readline(), 60)).decode().rstrip("\n")
        if not line and found:
            return found
        name, _, value = line.partition(": ")
        if name in {"retry", "id", "event", "data"}:
            found[name] = value


async def test_only_a_page_of_an_allowed_origin_may_call(start: Start) -> None:
    service = await start(ALLOWED_ORIGINS="https://app.example")
    url = f"{service.api}/api/v1/onramp/sessions"
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    async with service.http.options(url, headers=ask | {"Origin": "https://app.example"}) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    for other in ("https://app.example.evil.test", "http://app.example", "null", "https://APP.example:444"):
        async with service.http.options(url, headers=ask | {"Origin": other}) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert answer.headers["Vary"] == "Origin"


async def test_an_old_client_key_makes_a_new_session_after_a_day(start: Start, sqlite_url: str) -> None:
    service, clock = await start(), OffsetClock()
    _, made = await service.create("key-of-sixteen-chars")
    async with replica(sqlite_url, service, clock, ("janitor",)):
        clock.ahead = timedelta(hours=25)
        for _ in range(100):
            status, again = await service.create("key-of-sixteen-chars")
            if again.get("id") != made["id"]:
                break
            await asyncio.sleep(0.2)
    assert status == 201
    assert again["id"] != made["id"]
