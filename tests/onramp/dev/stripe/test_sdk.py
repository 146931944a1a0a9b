"""Stripe's official client, unchanged, against the sandbox; and the sandbox as a separate process."""

import asyncio
import re
import signal
import sys
from typing import Any

import aiohttp
import pytest
import stripe

from tests.support.paths import ROOT
from tests.support.stripe_sandbox import Sandbox, Shop

SESSIONS = "/v1/crypto/onramp_sessions"
ORDER = {
    "wallet_addresses": {"ethereum": "0x" + "ab" * 20},
    "lock_wallet_address": True,
    "destination_currencies": ["usdc"],
    "destination_networks": ["ethereum"],
    "source_amount": "100.00",
    "source_currency": "usd",
    "metadata": {"session_id": "ons_1"},
    "customer_information": {"email": "a@b.example", "dob": {"year": 1990, "month": 1, "day": 2}},
}


def client_of(url: str, http: aiohttp.ClientSession, **options: Any) -> stripe.StripeClient:
    return stripe.StripeClient(
        "sk_test_1", base_addresses={"api": url}, http_client=stripe.AIOHTTPClient(timeout=5, session=http), **options
    )


@pytest.fixture
def client(sandbox: Sandbox) -> stripe.StripeClient:
    return client_of(sandbox.url, sandbox.http)


async def test_create_read_and_list(client: stripe.StripeClient, sandbox: Sandbox) -> None:
    made = await client.raw_request_async("post", SESSIONS, idempotency_key="k1", **ORDER)
    again = await client.raw_request_async("post", SESSIONS, idempotency_key="k1", **ORDER)
    read = await client.raw_request_async("get", f"{SESSIONS}/{made.data['id']}")
    listed = await client.raw_request_async("get", SESSIONS, limit=5, created={"gte": 1}, status="initialized")

    assert made.data["transaction_details"]["lock_wallet_address"] is True
    assert made.data["kyc_details_provided"] is True
    assert again.data == made.data == read.data
    assert [row["id"] for row in listed.data["data"]] == [made.data["id"]]
    assert re.match("req_", made.headers["Request-Id"])


async def test_the_sandboxs_errors_are_those_that_the_client_knows(
    client: stripe.StripeClient, sandbox: Sandbox
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await client.raw_request_async("post", SESSIONS, source_amount="5")
    assert refused.value.code == "crypto_onramp_missing_source_currency"

    await client.raw_request_async("post", SESSIONS, idempotency_key="k1", source_currency="usd")
    with pytest.raises(stripe.IdempotencyError):
        await client.raw_request_async("post", SESSIONS, idempotency_key="k1", source_currency="eur")

    await sandbox.control("faults", kind="429")
    with pytest.raises(stripe.RateLimitError):
        await client.raw_request_async("get", SESSIONS)

    with pytest.raises(stripe.AuthenticationError):
        await stripe.StripeClient(
            "sk_test_2", base_addresses={"api": sandbox.url}, http_client=stripe.AIOHTTPClient(session=sandbox.http)
        ).raw_request_async("get", SESSIONS)


async def test_the_clients_own_retry_ends_with_one_session(sandbox: Sandbox) -> None:
    await sandbox.control("faults", kind="500_before")
    client = client_of(sandbox.url, sandbox.http, max_network_retries=1)
    await client.raw_request_async("post", SESSIONS, **ORDER)
    assert len(sandbox.account.store.sessions) == 1


async def test_the_sandbox_runs_alone(shop: Shop) -> None:
    arguments = [
        "--port",
        "0",
        "--secret-key",
        "sk_test_1",
        "--webhook-url",
        shop.url,
        "--webhook-secret",
        "whsec_alone",
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "onramp.dev.stripe", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().removeprefix("stripe: ").strip()
        async with aiohttp.ClientSession() as http:
            made = await client_of(url, http).raw_request_async("post", SESSIONS, **ORDER)
            advance = f"{url}/sandbox/onramp_sessions/{made.data['id']}/advance"
            async with http.post(advance, json={"status": "requires_payment"}) as answer:
                assert answer.status == 200
        await shop.wait(1)
    finally:
        process.send_signal(signal.SIGINT)
        code = await process.wait()
    body, header = shop.received[0]

    assert stripe.WebhookSignature.verify_header(body.decode(), header, "whsec_alone", 300)
    assert made.data["redirect_url"].startswith(url)
    assert code == 0
