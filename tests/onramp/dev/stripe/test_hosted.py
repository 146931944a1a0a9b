"""The page's own calls: what the buyer may see, change and pay."""

import asyncio
from typing import Any

import pytest

from tests.support.stripe_sandbox import Answer, Sandbox, Shop

SESSIONS = "/v1/crypto/onramp_sessions"
CARD = "4242 4242 4242 4242"


def hash_of(session: dict[str, Any]) -> str:
    return str(session["redirect_url"]).rpartition("=")[2]


async def ask(sandbox: Sandbox, what: str, session: dict[str, Any], **body: Any) -> Answer:
    return await sandbox.call(
        "POST", f"/pay/{what}", json={"key": hash_of(session)} | body, headers={"Authorization": ""}
    )


async def status_of(sandbox: Sandbox, session: dict[str, Any]) -> str:
    return str((await sandbox.get(f"{SESSIONS}/{session['id']}")).body["status"])


async def test_a_test_card_takes_the_session_to_its_end(sandbox: Sandbox, shop: Shop) -> None:
    session = await sandbox.create()
    seen = await ask(sandbox, "state", session)
    paid = await ask(sandbox, "confirm", session, number=CARD)
    await shop.wait(3)

    assert seen.body["quote"]["total_amount"] == "104.10"
    assert paid.body["status"] == "fulfillment_processing"
    assert await status_of(sandbox, session) == "fulfillment_complete"
    assert (await ask(sandbox, "state", session)).body["quote"]["blockchain_tx_id"].startswith("0x")
    assert (await ask(sandbox, "confirm", session, number=CARD)).status == 400


@pytest.mark.parametrize("number", ["4000 0000 0000 0002", "1234", ""])
async def test_a_card_that_fails_leaves_the_session_at_the_payment(sandbox: Sandbox, number: str) -> None:
    session = await sandbox.create()
    answer = await ask(sandbox, "confirm", session, number=number)
    assert answer.status == 402
    assert await status_of(sandbox, session) == "requires_payment"


async def test_the_client_secret_lets_in_too_and_nothing_else_does(sandbox: Sandbox) -> None:
    session = await sandbox.create()
    keys = [session["client_secret"], session["id"], session["id"] + "_secret_x", "", "nonsense"]
    statuses = [(await ask(sandbox, "state", session, key=key)).status for key in keys]
    assert statuses == [200, 404, 404, 404, 404]


async def test_the_page_receives_no_secret(sandbox: Sandbox) -> None:
    session = await sandbox.create()
    text = str((await ask(sandbox, "state", session)).body)
    assert "_secret_" not in text
    assert "sk_test" not in text


async def test_the_amount_can_be_edited_and_is_what_is_paid(sandbox: Sandbox, shop: Shop) -> None:
    session = await sandbox.create()
    seen = await ask(sandbox, "state", session, source_amount="25.50")
    await ask(sandbox, "confirm", session, source_amount="25.50", number=CARD)
    await shop.wait(3)
    details = (await sandbox.get(f"{SESSIONS}/{session['id']}")).body["transaction_details"]

    assert seen.body["quote"]["destination_amount"] == "25.500000"
    assert (details["source_amount"], details["destination_amount"]) == ("25.50", "25.500000")


@pytest.mark.parametrize(
    "edit",
    [
        {"wallet_address": "0x" + "cd" * 20},
        {"destination_currency": "usdc", "destination_network": "base"},
        {"destination_network": "base"},
        {"source_amount": "0"},
        {"source_amount": "1e3"},
        {"source_amount": 5},
    ],
)
async def test_locked_pinned_and_invalid_values_are_refused(sandbox: Sandbox, edit: dict[str, Any]) -> None:
    session = await sandbox.create()
    assert (await ask(sandbox, "confirm", session, number=CARD, **edit)).status == 400
    assert await status_of(sandbox, session) == "requires_payment"


async def test_an_open_session_lets_the_buyer_choose_wallet_and_network(sandbox: Sandbox, shop: Shop) -> None:
    session = (await sandbox.post()).body
    missing = await ask(sandbox, "confirm", session, number=CARD)
    wallet = "0x" + "cd" * 20
    choice = {"wallet_address": wallet, "destination_currency": "usdc", "destination_network": "base"}
    await ask(sandbox, "confirm", session, number=CARD, **choice)
    await shop.wait(3)
    details = (await sandbox.get(f"{SESSIONS}/{session['id']}")).body["transaction_details"]

    assert missing.code == "crypto_onramp_wallet_address_invalid"
    assert (details["wallet_address"], details["destination_network"]) == (wallet, "base")


async def test_two_concurrent_payments_are_one(sandbox: Sandbox, shop: Shop) -> None:
    session = await sandbox.create()
    answers = await asyncio.gather(*(ask(sandbox, "confirm", session, number=CARD) for _ in range(5)))
    await shop.wait(3)
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400, 400]


async def test_the_page_may_be_framed_and_loads_nothing_from_elsewhere(sandbox: Sandbox) -> None:
    page = await sandbox.call("GET", "/pay")
    script = await sandbox.call("GET", "/sandbox/stripe-onramp.js")

    assert "frame-ancestors" not in page.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in page.headers
    assert b"http" not in page.body.replace(b"http-equiv", b"")
    assert script.headers["Access-Control-Allow-Origin"] == "*"
    assert (await sandbox.call("GET", "/pay/pay.html")).status == 404
    assert (await sandbox.call("GET", "/pay/..%2Fapp.py")).status == 404
