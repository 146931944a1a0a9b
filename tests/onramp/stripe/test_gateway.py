"""The gateway against the wire: the official client, the real sandbox, and a Stripe that fails in every known way."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from kit.clock import SystemClock
from kit.db.database import connect
from kit.http.problems import Problem
from onramp.bootstrap.factories import session_config
from onramp.config.loader import load
from onramp.quotes.schemas import QuoteQuery
from onramp.quotes.service import MAX_PER_SECOND, Quotes
from onramp.stripe.breaker import FAILURES, OPEN_SECONDS
from onramp.stripe.errors import (
    OUR_FAULT,
    OUTAGES,
    REFUSALS,
    StripeMisconfigured,
    StripeNotFound,
    StripeRefused,
    StripeUnavailable,
)
from onramp.stripe.gateway import make_gateway
from onramp.stripe.port import CreateSessionParams
from tests.support.service import SETTLEMENT
from tests.support.stripe_gateway import COMMAND, Stepping, Wire, wired


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with wired() as found:
        yield found


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK log as with STRIPE_LOG=debug."""
    monkeypatch.setattr("stripe._util.STRIPE_LOG", "debug")


@pytest.mark.usefixtures("talkative")
async def test_the_sdk_prints_no_reply_though_the_environment_asks_it_to(
    wire: Wire, capfd: pytest.CaptureFixture[str]
) -> None:
    made = await wire.gateway.create_session(COMMAND, idempotency_key="ons_1-0")
    printed = capfd.readouterr()
    assert made.client_secret
    assert made.client_secret not in printed.out + printed.err


async def test_the_requested_values_reach_stripe_and_are_returned(wire: Wire) -> None:
    made = await wire.gateway.create_session(COMMAND, idempotency_key="ons_1-0")
    assert made.status == "initialized"
    assert made.lock_wallet_address is True
    assert made.wallet_addresses == {"ethereum": SETTLEMENT}
    assert made.destination_currencies == ("usdc",)
    assert made.destination_networks == ("ethereum",)
    assert made.metadata == {"onramp_session_id": "ons_1"}
    assert made.source_amount == "99.50"
    assert (await wire.gateway.get_session(made.id)).id == made.id


@pytest.mark.parametrize("kind", ["429", "500_before", "drop", "reset", "html"])
async def test_a_passing_fault_is_retried_under_the_same_key_and_makes_one_session(wire: Wire, kind: str) -> None:
    wire.fault(kind, count=2)
    await wire.create()
    assert wire.creates == (2 if kind == "drop" else 3)  # what was dropped had been done, and is replayed
    assert len(wire.sandbox.store.sessions) == 1


async def test_a_rate_limit_is_obeyed_as_long_as_it_says(wire: Wire) -> None:
    wire.fault("429", retry_after=3)
    await wire.create()
    assert wire.clock.waits[0] >= 3


async def test_a_rate_limit_beyond_the_deadline_is_returned_to_the_buyer(wire: Wire) -> None:
    wire.fault("429", retry_after=120)
    with pytest.raises(StripeUnavailable) as raised:
        await wire.create()
    assert raised.value.headers["Retry-After"] == "120"
    assert wire.creates == 1


async def test_a_redirect_is_not_followed_and_takes_no_key_along(wire: Wire) -> None:
    wire.fault("302", count=99)
    with pytest.raises(StripeUnavailable):
        await wire.create()
    assert wire.sandbox.leaks == 0
    assert wire.sandbox.requests["elsewhere"] == 0


async def test_a_failure_that_stripe_has_stored_is_known_as_such(wire: Wire) -> None:
    wire.fault("500_stored")
    with pytest.raises(StripeUnavailable) as raised:
        await wire.create()
    assert raised.value.stored_failure
    assert len(wire.sandbox.store.sessions) == 0


async def test_other_parameters_under_the_same_key_are_our_fault_not_the_buyers(wire: Wire) -> None:
    await wire.create("one-key")
    other = CreateSessionParams(
        **{name: getattr(COMMAND, name) for name in CreateSessionParams.__slots__} | {"source_amount": "5"}
    )
    with pytest.raises(StripeMisconfigured) as raised:
        await wire.gateway.create_session(other, idempotency_key="one-key")
    assert raised.value.status == 503
    assert "parameters" in raised.value.operator


@pytest.mark.parametrize("code", sorted(REFUSALS))
async def test_a_refusal_by_stripes_rules_is_returned_to_the_buyer_in_a_sentence(wire: Wire, code: str) -> None:
    wire.fault("error", code=code)
    with pytest.raises(StripeRefused) as raised:
        await wire.create()
    assert (raised.value.status, raised.value.code) == (422, code)
    assert raised.value.detail.endswith(".")
    assert "_" not in raised.value.detail
    assert wire.creates == 1


@pytest.mark.parametrize("code", sorted(OUR_FAULT))
async def test_a_request_built_wrongly_is_not_blamed_on_the_buyer(wire: Wire, code: str) -> None:
    wire.fault("error", code=code)
    with pytest.raises(StripeMisconfigured) as raised:
        await wire.create()
    assert (raised.value.status, raised.value.code) == (503, "stripe_unavailable")
    assert code in raised.value.operator


@pytest.mark.parametrize("code", sorted(OUTAGES))
async def test_an_unavailable_stripe_is_503_at_once(wire: Wire, code: str) -> None:
    wire.fault("error", code=code)
    with pytest.raises(StripeUnavailable):
        await wire.create()
    assert wire.creates == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_named_for_the_operator_alone(wire: Wire, status: int) -> None:
    wire.fault("error", status=status, message="Invalid API Key provided: sk_test_gate")
    with pytest.raises(StripeMisconfigured) as raised:
        await wire.create()
    assert "sk_test" not in raised.value.operator + raised.value.detail


async def test_the_circuit_opens_answers_fast_and_tries_again(wire: Wire) -> None:
    wire.fault("error", code="crypto_onramp_disabled", count=FAILURES)
    for _ in range(FAILURES):
        with pytest.raises(StripeUnavailable):
            await wire.create()
    asked = wire.creates
    with pytest.raises(StripeUnavailable) as raised:
        await wire.create()
    assert wire.creates == asked, "nothing is asked while the circuit is open"
    assert 1 <= int(raised.value.headers["Retry-After"]) <= OPEN_SECONDS + 1
    wire.clock.elapsed += OPEN_SECONDS
    tries = await asyncio.gather(*(wire.create(f"ons_{number}-0") for number in range(4)), return_exceptions=True)
    assert sum(isinstance(tried, str) for tried in tries) == 1, "one call may try, the others have to wait"
    assert await wire.create("ons_9-0")


async def test_a_listing_is_walked_to_its_end(wire: Wire) -> None:
    for number in range(230):
        command = CreateSessionParams(
            **{name: getattr(COMMAND, name) for name in CreateSessionParams.__slots__}
            | {"metadata": {"onramp_session_id": f"ons_{number}"}}
        )
        await wire.gateway.create_session(command, idempotency_key=f"ons_{number}-0")
    found = [fact.id async for fact in wire.gateway.find_sessions_created_since(0)]
    assert len(found) == len(set(found)) == 230


async def test_one_malformed_session_in_a_list_hides_no_other_and_is_reported(wire: Wire) -> None:
    made = [await wire.create(f"ons_{number}-0") for number in range(3)]
    for session_id in made:
        wire.sandbox.walk(wire.sandbox.store.get(session_id), "fulfillment_complete", {}, "none")
    for session_id in made[1:]:
        wire.sandbox.store.get(session_id)["transaction_details"] = None
    page = await wire.gateway.list_completed(created_gte=0, starting_after=None)
    assert [fact.id for fact in page.sessions] == made[:1]
    await wire.gateway.ping()
    with pytest.raises(StripeUnavailable):
        _ = [fact async for fact in wire.gateway.find_sessions_created_since(0)]


async def test_a_malformed_session_is_fetched_once_and_does_not_open_the_circuit(wire: Wire) -> None:
    odd, good = await wire.create("ons_1-0"), await wire.create("ons_2-0")
    wire.sandbox.store.get(odd)["transaction_details"] = None
    for _ in range(8):
        with pytest.raises(StripeUnavailable):
            await wire.gateway.get_session(odd)
    assert wire.clock.waits == []
    assert (await wire.gateway.get_session(good)).id == good


@pytest.mark.parametrize("session_id", ["cos_nobody", "../account", "cos_é", "", "cos_1?expand=x"])
async def test_a_session_that_stripe_does_not_know_is_not_found(wire: Wire, session_id: str) -> None:
    with pytest.raises(StripeNotFound):
        await wire.gateway.get_session(session_id)


@pytest.mark.parametrize("status", [400, 402, 404, 409, 410, 413, 424, 429, 500, 502, 503, 529])
async def test_every_other_response_of_stripe_becomes_a_problem(wire: Wire, status: int) -> None:
    wire.fault("error", status=status, code="something_new", count=99)
    with pytest.raises(Problem) as raised:
        await wire.create()
    assert raised.value.status in {404, 503}


@pytest.mark.parametrize("body", [b'{"error": "Bad gateway"}', b'{"error": null}', b"\xff\xfe"])
@pytest.mark.parametrize("status", [400, 502])
async def test_a_malformed_response_does_not_keep_the_circuit_open(status: int, body: bytes) -> None:
    asked = 0

    async def answer(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=status, body=body, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    clock = Stepping()
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        gateway = make_gateway(
            secret_key="sk_test_gate", api_base=str(server.make_url("")), stripe_version=None, http=http, clock=clock,
            registry=CollectorRegistry(),
        )  # fmt: skip
        for _ in range(FAILURES + 2):
            before = asked
            with pytest.raises(StripeUnavailable):
                await gateway.ping()
            assert asked > before, "a try that ended so does not keep the circuit open for ever"
            clock.elapsed += OPEN_SECONDS


async def test_quotes_of_ever_other_amounts_leave_stripe_time_for_purchases(wire: Wire, sqlite_url: str) -> None:
    database = connect(sqlite_url)
    quotes = Quotes(database, wire.gateway, session_config(load()), SystemClock())

    async def ask(dollars: int) -> str:
        try:
            return (
                await quotes.quote(QuoteQuery.model_validate({"sourceAmount": str(dollars), "sourceCurrency": "usd"}))
            ).source_amount
        except Problem as problem:
            return problem.code

    raised = await asyncio.gather(*(ask(dollars) for dollars in range(1, 5 * MAX_PER_SECOND)))
    answered = [one for one in raised if one != "quotes_busy"]
    assert MAX_PER_SECOND < len(answered) < 4 * MAX_PER_SECOND, (
        "some wait a moment for their turn, the others get an error that says when to retry"
    )
    assert await ask(int(float(answered[0]))) == answered[0], "what is known needs no question"
    await asyncio.sleep(1)
    assert await ask(99) == "99.00"
    await database.close()
