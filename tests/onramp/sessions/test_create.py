"""Creating a purchase: a valid request creates one session, an invalid one is refused by field and leaves nothing."""

import asyncio
from typing import Any

import pytest

from onramp.sessions.schemas import CreatedSession, SessionResponse
from tests.support.service import HOT_WALLET, Service, Start

KEY = "a-key-of-enough-length"
MUSD = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"


async def test_a_purchase_is_made_and_its_secret_is_its_creators_alone(service: Service) -> None:
    status, made = await service.create()
    assert status == 201
    assert made["clientSecret"].startswith(made["payment"]["stripeSessionId"] + "_secret_")
    assert made["publishableKey"] == "pk_test_api"
    assert made["redirectUrl"].startswith(service.stripe)
    url = f"{service.api}/api/v1/onramp/sessions/{made['id']}"
    async with service.http.get(url, headers={"Expect": "tea"}) as answer:
        assert (answer.status, answer.headers["X-Request-Id"][:4]) == (417, "req_")
    async with service.http.get(url) as answer:
        read = await answer.json()
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Request-Id"]
    assert "clientSecret" not in read
    assert read["redirectUrl"] is None
    assert read["status"] == "awaiting_payment"


async def test_responses_match_the_openapi_document(service: Service) -> None:
    _, made = await service.create()
    assert CreatedSession.model_validate(made).model_dump(mode="json", by_alias=True) == made
    async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{made['id']}") as answer:
        read = await answer.json()
    assert SessionResponse.model_validate(read).model_dump(mode="json", by_alias=True) == read


async def test_the_same_key_and_body_give_the_same_answer(service: Service) -> None:
    first, second = await service.create(KEY), await service.create(KEY)
    assert first == second
    assert await service.stored() == 1


async def test_the_same_key_with_another_body_is_refused(service: Service) -> None:
    await service.create(KEY)
    status, problem = await service.create(KEY, sourceAmount="200")
    assert (status, problem["code"]) == (409, "idempotency_key_reused")


async def test_two_wallets_may_use_the_same_key(service: Service) -> None:
    await service.create(KEY)
    status, _ = await service.create(KEY, walletAddress="0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
    assert status == 201


async def test_two_keys_are_refused(service: Service) -> None:
    headers = [("Idempotency-Key", KEY), ("Idempotency-Key", KEY[::-1])]
    body = {
        "walletAddress": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955",
        "sourceAmount": "100",
        "sourceCurrency": "usd",
    }
    async with service.http.post(f"{service.api}/api/v1/onramp/sessions", json=body, headers=headers) as response:
        assert (response.status, (await response.json())["code"]) == (400, "idempotency_key_invalid")
    assert await service.stored() == 0


async def test_a_short_key_is_refused(service: Service) -> None:
    status, problem = await service.create("short")
    assert (status, problem["code"]) == (400, "idempotency_key_invalid")
    assert await service.stored() == 0


async def test_concurrent_requests_with_one_key_make_one_session(service: Service) -> None:
    answers = await asyncio.gather(*(service.create(KEY) for _ in range(8)))
    good = [made["id"] for status, made in answers if status == 201]
    others = {made["code"] for status, made in answers if status != 201}
    assert len(set(good)) == 1
    assert others <= {"idempotency_in_progress"}
    assert len(service.sandbox.store.sessions) == 1
    assert await service.stored() == 1


BAD_AMOUNTS = (
    "0",
    "0.00",
    "-1",
    "NaN",
    "1e3",
    "1" * 40,
    "1.001",
    "0.99",
    "10000.01",
    "",
    " 1",
    100,
    1.5,
    None,
    True,
    ["1"],
)


@pytest.mark.parametrize("amount", BAD_AMOUNTS)
async def test_a_bad_amount_is_refused_by_name(service: Service, amount: Any) -> None:
    status, problem = await service.create(sourceAmount=amount)
    assert (status, problem["code"]) == (422, "validation_failed")
    assert [error["pointer"] for error in problem["errors"]] == ["/sourceAmount"]
    assert await service.stored() == 0


BAD_WALLETS = (
    "0x14dC79964da2C08b23698B3D3cc7Ca32193d9956", "0x14dc", "0x" + "0" * 40, MUSD, MUSD.lower(), HOT_WALLET, "14dC79964da2C08b23698B3D3cc7Ca32193d9955",
    "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "", 7, None,
)  # fmt: skip


@pytest.mark.parametrize("wallet", BAD_WALLETS)
async def test_a_bad_wallet_is_refused_by_name(service: Service, wallet: Any) -> None:
    status, problem = await service.create(walletAddress=wallet)
    assert (status, problem["code"]) == (422, "validation_failed")
    assert [error["pointer"] for error in problem["errors"]] == ["/walletAddress"]
    assert await service.stored() == 0


async def test_an_unknown_field_is_refused_by_name(service: Service) -> None:
    status, problem = await service.create(walletAdress="x")
    assert status == 422
    assert [error["pointer"] for error in problem["errors"]] == ["/walletAdress"]


GOOD = b'{"walletAddress":"0x14dC79964da2C08b23698B3D3cc7Ca32193d9955","sourceAmount":"100","sourceCurrency":"usd"}'
BAD_BODIES = {
    "not JSON": (b"{", "application/json", 400, "malformed_json"),
    "a list": (b"[]", "application/json", 422, "validation_failed"),
    "null": (b"null", "application/json", 422, "validation_failed"),
    "deep": (b"[" * 10_000, "application/json", 400, "malformed_json"),
    "empty": (b"", "application/json", 400, "malformed_json"),
    "not UTF-8": (b"\xff\xfe", "application/json", 400, "malformed_json"),
    "a field twice": (GOOD[:-1] + b',"sourceAmount":"1"}', "application/json", 400, "malformed_json"),
    "a form": (b"a=b", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    "huge": (b" " * 10_000_000, "application/json", 413, "body_too_large"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_refused(service: Service, name: str) -> None:
    raw, kind, expected, code = BAD_BODIES[name]
    async with service.http.post(
        f"{service.api}/api/v1/onramp/sessions", data=raw, headers={"Content-Type": kind}
    ) as answer:
        problem = await answer.json(content_type="application/problem+json")
        assert (answer.status, problem["code"]) == (expected, code)
        assert problem["requestId"] == answer.headers["X-Request-Id"]
    assert await service.stored() == 0


async def test_a_reply_of_stripe_that_differs_yields_no_client_secret(start: Start) -> None:
    service = await start(sandbox={"flat_fields": False})
    status, problem = await service.create(KEY)
    assert (status, problem["code"]) == (502, "stripe_echo_mismatch")
    assert "secret" not in str(problem)
    assert (await service.create(KEY))[1]["code"] == "stripe_echo_mismatch"


@pytest.mark.parametrize("kind", ["429", "500_before", "drop", "html", "302"])
async def test_a_passing_fault_of_stripes_is_not_the_buyers(service: Service, kind: str) -> None:
    await service.fault(kind)
    status, _ = await service.create(KEY)
    assert status == 201
    assert len(service.sandbox.store.sessions) == 1


async def test_a_stored_failure_ends_with_one_session(service: Service) -> None:
    await service.fault("500_after")
    statuses = [(await service.create(KEY))[0] for _ in range(3)]
    assert statuses[-1] == 201
    assert len(service.sandbox.store.sessions) == 1


async def test_stripe_down_is_503_and_the_same_key_goes_on_later(service: Service) -> None:
    await service.fault("disabled")
    status, problem = await service.create(KEY)
    assert (status, problem["code"]) == (503, "stripe_unavailable")
    status, _ = await service.create(KEY)
    assert status == 201
    assert await service.stored() == 1


async def test_a_purchase_above_the_stock_is_refused(start: Start) -> None:
    service = await start(stock=150 * 10**18)
    assert (await service.create(sourceAmount="150"))[0] == 201
    status, problem = await service.create(sourceAmount="150.01")
    assert (status, problem["code"]) == (503, "inventory_low")


async def test_a_quote_names_every_part(service: Service) -> None:
    async with service.http.get(
        f"{service.api}/api/v1/onramp/quotes", params={"sourceAmount": "100", "sourceCurrency": "usd"}
    ) as answer:
        quote = await answer.json()
    assert set(quote) == {
        "sourceAmount",
        "sourceCurrency",
        "destinationAmount",
        "destinationCurrency",
        "fees",
        "total",
        "musdAmount",
    }
    assert set(quote["fees"]) == {"network", "transaction", "payout"}
    assert quote["musdAmount"] == "100.00"


@pytest.mark.parametrize("path", ["", "/events", "/delivery", "/receipt"])
async def test_an_unknown_session_is_404(service: Service, path: str) -> None:
    async with service.http.get(f"{service.api}/api/v1/onramp/sessions/ons_unknown{path}") as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (404, "not_found")


async def test_every_route_is_documented(service: Service) -> None:
    async with service.http.get(f"{service.api}/openapi.json") as answer:
        document = await answer.json()
    assert document["openapi"] == "3.1.0"
    assert {"/api/v1/onramp/sessions", "/api/v1/webhooks/stripe", "/ready", "/metrics"} <= set(document["paths"])
    created = document["paths"]["/api/v1/onramp/sessions"]["post"]["responses"]["201"]["content"]["application/json"]
    assert created["schema"] == {"$ref": "#/components/schemas/CreatedSession"}, "what a route answers"
    status = document["components"]["schemas"]["SessionResponse"]["properties"]["status"]
    assert {"awaiting_payment", "processing"} <= set(status["enum"]), "what a field may say"
    async with service.http.get(f"{service.api}/llms.txt") as answer:
        assert "- `POST /api/v1/onramp/sessions` (anyone): " in await answer.text()


async def test_metrics_ask_for_their_token(start: Start) -> None:
    from pydantic import SecretStr

    service = await start(METRICS_TOKEN=SecretStr("a-token"))
    async with service.http.get(f"{service.api}/metrics") as answer:
        assert answer.status == 401
    async with service.http.get(f"{service.api}/metrics", headers={"Authorization": "Bearer a-token"}) as answer:
        assert "onramp_http_requests_total" in await answer.text()
