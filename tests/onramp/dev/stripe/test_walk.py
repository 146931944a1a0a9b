"""The life of a session, and the events of its changes."""

import asyncio
import json
import time

import pytest
import stripe

from tests.support.stripe_sandbox import Sandbox, Shop, Start

SESSIONS = "/v1/crypto/onramp_sessions"
STEPS = ["requires_payment", "fulfillment_processing", "fulfillment_complete"]


async def test_a_walk_passes_every_state_with_an_event_each_and_none_for_the_making(
    sandbox: Sandbox, shop: Shop
) -> None:
    session = await sandbox.create()
    answer = await sandbox.advance(session, "fulfillment_complete", destination_amount="99.50")
    events = await shop.wait(3)
    details = answer.body["session"]["transaction_details"]

    assert [event["data"]["object"]["status"] for event in events] == STEPS
    assert {event["type"] for event in events} == {"crypto.onramp_session.updated"}
    assert details["destination_amount"] == "99.500000"
    assert details["transaction_id"].startswith("0x")
    assert details["wallet_address"] == details["wallet_addresses"]["ethereum"]
    assert details["fees"] == {"network_fee_amount": "0.15", "transaction_fee_amount": "3.95"}


@pytest.mark.parametrize(("currency", "amount"), [("usd", "100.000000"), ("eur", "108.000000")])
async def test_the_delivered_amount_is_the_paid_amount_with_fees_on_top(
    sandbox: Sandbox, currency: str, amount: str
) -> None:
    session = await sandbox.create(source_currency=currency)
    shown = (await sandbox.advance(session, "fulfillment_complete")).body["session"]
    assert shown["transaction_details"]["destination_amount"] == amount


@pytest.mark.parametrize(
    ("reached", "target"),
    [
        ("fulfillment_complete", "requires_payment"),
        ("fulfillment_complete", "fulfillment_complete"),
        ("fulfillment_complete", "rejected"),
        ("rejected", "fulfillment_complete"),
        ("requires_payment", "initialized"),
        ("requires_payment", "expired"),
    ],
)
async def test_an_illegal_move_is_refused_and_changes_nothing(sandbox: Sandbox, reached: str, target: str) -> None:
    session = await sandbox.create()
    await sandbox.advance(session, reached)
    answer = await sandbox.advance(session, target)

    assert (answer.status, answer.code) == (400, "sandbox_illegal_move")
    assert (await sandbox.get(f"{SESSIONS}/{session['id']}")).body["status"] == reached


@pytest.mark.parametrize("reached", ["initialized", "requires_payment", "fulfillment_processing"])
async def test_an_unfinished_session_can_be_rejected(sandbox: Sandbox, reached: str) -> None:
    session = await sandbox.create()
    if reached != "initialized":
        await sandbox.advance(session, reached)
    assert (await sandbox.advance(session, "rejected")).body["session"]["status"] == "rejected"


async def test_a_buyers_edits_are_what_is_paid(sandbox: Sandbox) -> None:
    session = (await sandbox.post({"source_amount": "100", "source_currency": "usd"})).body
    wallet = "0x" + "cd" * 20
    edits = {
        "source_amount": "40",
        "wallet_address": wallet,
        "destination_currency": "usdc",
        "destination_network": "base",
    }
    details = (await sandbox.advance(session, "fulfillment_complete", livemode=True, **edits)).body["session"][
        "transaction_details"
    ]

    assert (details["source_amount"], details["destination_amount"]) == ("40.00", "40.000000")
    assert (details["wallet_address"], details["destination_network"]) == (wallet, "base")


async def test_an_unknown_order_to_the_sandbox_is_refused(sandbox: Sandbox) -> None:
    session = await sandbox.create()
    assert (await sandbox.advance(session, "rejected", colour="red")).status == 400
    assert (await sandbox.advance(session, "rejected", events="thrice")).status == 400


async def test_every_attempt_is_signed_for_stripes_own_verifier(start: Start, shop: Shop) -> None:
    sandbox = await start(webhook_secrets=("whsec_old", "whsec_new"))
    await sandbox.advance(await sandbox.create(), "requires_payment")
    await shop.wait(1)
    body, header = shop.received[0]

    for secret in ("whsec_old", "whsec_new"):
        assert stripe.WebhookSignature.verify_header(body.decode(), header, secret, 300)
    assert header.count("v1=") == 2
    assert ",v0=" in header
    assert " " not in header
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(body.decode(), header, "whsec_other", 300)


async def test_a_refused_event_is_sent_again_the_same_with_a_new_signature(sandbox: Sandbox, shop: Shop) -> None:
    shop.answers = [500, 302, 200]
    session = await sandbox.create()
    await sandbox.advance(session, "requires_payment")
    shown = await sandbox.deliveries(session, 3)

    assert [(item["attempt"], item["status"], item["outcome"]) for item in shown] == [
        (1, 500, "refused"),
        (2, 302, "refused"),
        (3, 200, "delivered"),
    ]
    assert len({body for body, _ in shop.received}) == 1
    assert len({header for _, header in shop.received}) == 3


async def test_after_the_last_attempt_the_event_is_undelivered_and_can_be_sent_again(
    sandbox: Sandbox, shop: Shop
) -> None:
    shop.answers = [500] * 4
    session = await sandbox.create()
    await sandbox.advance(session, "requires_payment")
    await sandbox.deliveries(session, 4)
    (event,) = (await sandbox.get("/v1/events", delivery_success="false")).body["data"]
    await sandbox.control(f"events/{event['id']}/resend")
    shown = await sandbox.deliveries(session, 5)

    assert shown[-1]["outcome"] == "delivered"
    assert (await sandbox.get("/v1/events", delivery_success="false")).body["data"] == []
    assert (await sandbox.get(f"/v1/events/{event['id']}")).body["pending_webhooks"] == 0


async def test_events_twice_late_and_none(sandbox: Sandbox, shop: Shop) -> None:
    session = await sandbox.create()
    await sandbox.advance(session, "requires_payment", events="none")
    await sandbox.advance(session, "fulfillment_processing", events="twice")
    first, second = await shop.wait(2)
    started = time.monotonic()
    await sandbox.advance(session, "fulfillment_complete", events="late")
    await shop.wait(3)

    assert first["id"] == second["id"]
    assert time.monotonic() - started >= 0.3
    assert shop.events[2]["data"]["object"]["status"] == "fulfillment_complete"
    assert len((await sandbox.get("/v1/events")).body["data"]) == 3


async def test_an_event_is_a_snapshot_of_its_moment(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.control("chaos", reverse=True)
    await sandbox.advance(await sandbox.create(), "fulfillment_complete")
    events = await shop.wait(3)
    assert [event["data"]["object"]["status"] for event in events] == STEPS[::-1]
    assert events[-1]["data"]["object"]["transaction_details"]["transaction_id"] is None


async def test_twin_events_have_different_ids_and_the_same_object(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.control("chaos", twin=True)
    await sandbox.advance(await sandbox.create(), "requires_payment")
    one, two = await shop.wait(2)
    assert one["id"] != two["id"]
    assert one["data"] == two["data"]


async def test_a_lost_event_is_never_sent(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.control("chaos", lose=2)
    session = await sandbox.create()
    await sandbox.advance(session, "fulfillment_complete")
    shown = await sandbox.deliveries(session, 3)
    assert [item["outcome"] for item in shown] == ["lost", "lost", "delivered"]
    assert len(shop.received) == 1


async def test_stale_and_wrongly_signed_attempts_fail_verification(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.control("chaos", stale=1)
    await sandbox.advance(await sandbox.create(), "requires_payment")
    await shop.wait(1)
    await sandbox.control("chaos", wrong_secret=1)
    await sandbox.advance(await sandbox.create(), "requires_payment")
    await shop.wait(2)

    for body, header in shop.received:
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.WebhookSignature.verify_header(body.decode(), header, "whsec_first", 300)


async def test_jitter_lets_events_overtake_each_other_and_loses_none(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.control("chaos", jitter=0.05, duplicate=True)
    for _ in range(5):
        await sandbox.advance(await sandbox.create(), "fulfillment_complete")
    assert len({event["id"] for event in await shop.wait(30)}) == 15


async def test_the_older_event_name_by_switch(start: Start, shop: Shop) -> None:
    sandbox = await start(event_type="crypto.onramp_session_updated")
    await sandbox.advance(await sandbox.create(), "requires_payment")
    assert (await shop.wait(1))[0]["type"] == "crypto.onramp_session_updated"


async def test_the_endpoint_can_be_moved_and_its_secret_rolled(sandbox: Sandbox, shop: Shop) -> None:
    await sandbox.control("endpoint", url=None)
    session = await sandbox.create()
    await sandbox.advance(session, "requires_payment")
    await sandbox.control("endpoint", url=shop.url, secrets=["whsec_first", "whsec_second"])
    await sandbox.advance(session, "fulfillment_processing")
    await shop.wait(1)
    await asyncio.sleep(0.05)

    ((body, header),) = shop.received
    assert json.loads(body)["data"]["object"]["status"] == "fulfillment_processing"
    assert stripe.WebhookSignature.verify_header(body.decode(), header, "whsec_second", 300)


async def test_a_receiver_that_is_not_there_is_tried_until_the_schedule_ends(start: Start) -> None:
    sandbox = await start(webhook_url="http://127.0.0.1:9/hook", retries=(1.0,))
    session = await sandbox.create()
    await sandbox.advance(session, "requires_payment")
    assert [item["outcome"] for item in await sandbox.deliveries(session, 2)] == ["unreachable", "unreachable"]
