"""Keys, reading, listing, quotes, and idempotency."""

import asyncio
import base64
import time
from pathlib import Path

import pytest

from tests.support.stripe_sandbox import Sandbox, Start

SESSIONS = "/v1/crypto/onramp_sessions"


@pytest.mark.parametrize("header", ["", "Bearer sk_test_other", "Bearer pk_test_1", "Basic !!", "Bearer "])
async def test_without_an_accepted_secret_key_there_is_nothing(sandbox: Sandbox, header: str) -> None:
    answer = await sandbox.call("GET", SESSIONS, headers={"Authorization": header})
    assert (answer.status, answer.body["error"]["type"]) == (401, "invalid_request_error")
    assert answer.headers["Request-Id"].startswith("req_")


async def test_the_key_may_come_as_basic_authentication(sandbox: Sandbox) -> None:
    header = "Basic " + base64.b64encode(b"sk_test_1:").decode()
    assert (await sandbox.call("GET", SESSIONS, headers={"Authorization": header})).status == 200


async def test_what_does_not_exist_is_404(sandbox: Sandbox) -> None:
    unknown, nowhere = await sandbox.get(f"{SESSIONS}/cos_x"), await sandbox.get("/v1/charges")
    assert (unknown.status, unknown.code) == (404, "resource_missing")
    assert nowhere.status == 404
    assert "Unrecognized request URL" in nowhere.body["error"]["message"]


async def test_pages_go_from_the_newest_to_the_oldest_and_back(sandbox: Sandbox) -> None:
    made = [(await sandbox.create())["id"] for _ in range(5)]
    newest_first = made[::-1]
    first = (await sandbox.get(SESSIONS, limit="2")).body
    second = (await sandbox.get(SESSIONS, limit="2", starting_after=first["data"][-1]["id"])).body
    last = (await sandbox.get(SESSIONS, limit="2", starting_after=second["data"][-1]["id"])).body
    back = (await sandbox.get(SESSIONS, limit="2", ending_before=newest_first[3])).body

    assert [row["id"] for page in (first, second, last) for row in page["data"]] == newest_first
    assert [page["has_more"] for page in (first, second, last)] == [True, True, False]
    assert ([row["id"] for row in back["data"]], back["has_more"]) == (newest_first[1:3], True)


async def test_a_listing_filters(sandbox: Sandbox) -> None:
    one, two = await sandbox.create(), await sandbox.create()
    await sandbox.advance(two, "fulfillment_complete")
    done = await sandbox.get(SESSIONS, status="fulfillment_complete", **{"created[gte]": str(int(time.time()) - 60)})
    future = await sandbox.get(SESSIONS, **{"created[gt]": str(int(time.time()) + 60)})
    base = await sandbox.get(SESSIONS, destination_network="base")

    assert [row["id"] for row in done.body["data"]] == [two["id"]]
    assert future.body["data"] == base.body["data"] == []
    assert len((await sandbox.get(SESSIONS, created=str(one["created"]))).body["data"]) >= 1


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "x"},
        {"status": "done"},
        {"created[x]": "1"},
        {"wallet": "1"},
        {"starting_after": "a", "ending_before": "b"},
    ],
)
async def test_a_wrong_listing_is_refused(sandbox: Sandbox, query: dict[str, str]) -> None:
    assert (await sandbox.get(SESSIONS, **query)).status == 400


async def test_a_quote_says_what_a_payment_brings(sandbox: Sandbox) -> None:
    for path in ("/v1/crypto/onramp_quotes", "/v1/crypto/onramp/quotes"):
        found = (
            await sandbox.get(
                path, source_amount="100", **{"destination_networks[]": "base", "destination_currencies[]": "usdc"}
            )
        ).body
        (quote,) = found["destination_network_quotes"]["base_network"]
        assert (quote["destination_amount"], quote["destination_network"]) == ("100.000000", "base")
        assert quote["source_total_amount"] == "103.97"
        assert found["destination_network_quotes"]["ethereum"] == []
        assert isinstance(found["rate_fetched_at"], float)


async def test_a_quote_by_destination_leaves_other_networks_null(sandbox: Sandbox) -> None:
    query = {
        "destination_amount": "108",
        "source_currency": "eur",
        "destination_currencies[]": "usdc",
        "destination_networks[]": "ethereum",
    }
    found = (await sandbox.get("/v1/crypto/onramp_quotes", **query)).body["destination_network_quotes"]
    assert found["ethereum"][0]["source_total_amount"] == "104.10"
    assert found["base_network"] is None


async def test_the_same_key_and_order_give_the_same_session_once(sandbox: Sandbox) -> None:
    order = {"source_amount": "5", "source_currency": "usd"}
    first = await sandbox.post(order, **{"Idempotency-Key": "k1"})
    again = await sandbox.post(order, **{"Idempotency-Key": "k1"})

    assert again.body == first.body
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"] != again.headers["Request-Id"]
    assert len(sandbox.account.store.sessions) == 1


async def test_the_same_key_with_another_order_is_an_idempotency_error(sandbox: Sandbox) -> None:
    await sandbox.post({"source_currency": "usd"}, **{"Idempotency-Key": "k1"})
    answer = await sandbox.post({"source_currency": "eur"}, **{"Idempotency-Key": "k1"})
    assert (answer.status, answer.body["error"]["type"]) == (400, "idempotency_error")


async def test_another_spelling_of_the_same_order_is_the_same_order(sandbox: Sandbox) -> None:
    first = await sandbox.post({"destination_networks[]": "base"}, **{"Idempotency-Key": "k1"})
    again = await sandbox.post({"destination_networks[0]": "base"}, **{"Idempotency-Key": "k1"})
    assert again.body["id"] == first.body["id"]


async def test_a_refused_order_is_not_remembered(sandbox: Sandbox) -> None:
    assert (await sandbox.post({"x": "1"}, **{"Idempotency-Key": "k1"})).status == 400
    assert (await sandbox.post({"source_currency": "usd"}, **{"Idempotency-Key": "k1"})).status == 200


async def test_a_key_in_flight_is_409(sandbox: Sandbox) -> None:
    await sandbox.control("faults", kind="slow", path=SESSIONS, seconds=0.3)
    slow = asyncio.create_task(sandbox.post(None, **{"Idempotency-Key": "k1"}))
    await asyncio.sleep(0.1)
    meanwhile = await sandbox.post(None, **{"Idempotency-Key": "k1"})

    assert (meanwhile.status, meanwhile.code) == (409, "idempotency_key_in_use")
    assert (await slow).status == 200
    assert len(sandbox.account.store.sessions) == 1


async def test_keys_are_forgotten_after_their_time(start: Start) -> None:
    sandbox = await start(key_seconds=0.05)
    first = await sandbox.post(None, **{"Idempotency-Key": "k1"})
    await asyncio.sleep(0.1)
    assert (await sandbox.post(None, **{"Idempotency-Key": "k1"})).body["id"] != first.body["id"]


async def test_a_key_too_long_is_refused(sandbox: Sandbox) -> None:
    assert (await sandbox.post(None, **{"Idempotency-Key": "k" * 256})).status == 400


async def test_a_restart_from_a_file_knows_sessions_and_keys(start: Start, tmp_path: Path) -> None:
    before = await start(state_file=tmp_path / "stripe.db")
    order, headers = {"source_amount": "100", "source_currency": "usd"}, {"Idempotency-Key": "the-same-key"}
    made = (await before.post(order, **headers)).body
    await before.advance(made, "fulfillment_complete")
    after = await start(state_file=tmp_path / "stripe.db")
    assert (await after.get(f"{SESSIONS}/{made['id']}")).body == (await before.get(f"{SESSIONS}/{made['id']}")).body
    again = await after.post(order, **headers)
    assert (again.body["id"], len(after.account.store.sessions)) == (made["id"], 1)
    assert again.headers["Idempotent-Replayed"] == "true"
