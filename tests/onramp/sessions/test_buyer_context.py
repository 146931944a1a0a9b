"""What a dApp says about its buyer: stored and returned as given; what cannot be one of these is refused by field, and nothing is stored."""

import asyncio
import json
import os
from typing import Any

import pytest

from onramp.sessions.buyer_context import LOCALES, is_allowed, locale, origin_of, reference, return_url
from tests.support.api_keys import call, create_key
from tests.support.command_line import run_onramp
from tests.support.purchases import OTHER, read_session
from tests.support.service import Service, Start

KEY = "a-key-of-enough-length"
SHOP = "https://shop.example"
CONTEXT = {"reference": "order 17/Ä", "returnUrl": f"{SHOP}/thanks?order=17#top", "locale": "pt-br"}
STORED = {**CONTEXT, "locale": "pt-BR"}
SESSIONS = "/api/v1/onramp/sessions"


@pytest.fixture
async def shop(start: Start) -> Service:
    return await start(ALLOWED_ORIGINS=f"{SHOP},http://localhost:5173")


async def test_create_read_stream_and_receipt_return_what_was_given(shop: Service) -> None:
    status, created = await shop.create(**CONTEXT)
    assert status == 201
    read = await read_session(shop, created["id"])
    async with shop.http.get(f"{shop.api}{SESSIONS}/{created['id']}/events") as stream:
        lines = [(await stream.content.readline()).decode() for _ in range(4)]
    streamed = json.loads(lines[3].removeprefix("data: "))
    for document in (created, read, streamed):
        assert {name: document[name] for name in STORED} == STORED
    assert created["version"] == read["version"] == streamed["version"] == int(lines[1].removeprefix("id: "))
    async with shop.http.get(f"{shop.api}{SESSIONS}/{created['id']}/receipt") as response:
        assert (await response.json())["reference"] == STORED["reference"]
    fact = shop.sandbox.store.get(created["payment"]["stripeSessionId"])
    assert fact["metadata"]["onramp_reference"] == STORED["reference"], "a lost row gets it back from there"


async def test_without_them_they_are_null(shop: Service) -> None:
    _, created = await shop.create()
    assert [created[name] for name in STORED] == [None, None, None]
    assert (await shop.create(reference=None, returnUrl=None, locale=None))[0] == 201


async def test_the_same_key_covers_each_of_them(shop: Service) -> None:
    first = await shop.create(KEY, **CONTEXT)
    assert await shop.create(KEY, **CONTEXT) == first
    for name, other in (("reference", "order 18"), ("returnUrl", SHOP), ("locale", "de")):
        status, problem = await shop.create(KEY, **{**CONTEXT, name: other})
        assert (status, problem["code"]) == (409, "idempotency_key_reused"), name
    assert (await shop.create(KEY))[0] == 409
    # One value in another field is another body.
    moved = "a-key-of-enough-length-2"
    await shop.create(moved, locale="de")
    assert (await shop.create(moved, reference="de"))[0] == 409
    assert await shop.stored() == 2


REFUSED: list[tuple[str, Any]] = [
    ("reference", "x" * 201), ("reference", "x" * 10_000), ("reference", ""), ("reference", "a\nb"),
    ("reference", "a\u202eb"), ("reference", "<script>alert(1)</script>"), ("reference", "a>b"), ("reference", " a"), ("reference", 17),
    ("returnUrl", "https://evil.example/"), ("returnUrl", "https://shop.example.evil.example/"), ("returnUrl", "http://shop.example/"),
    ("returnUrl", "https://shop.example:8443/"), ("returnUrl", "https://user:pass@shop.example/"), ("returnUrl", "https://shop.example@evil.example/"),
    ("returnUrl", "https://@shop.example/"), ("returnUrl", "javascript:alert(1)"), ("returnUrl", "data:text/html,x"), ("returnUrl", "//shop.example/"),
    ("returnUrl", "/thanks"), ("returnUrl", ""), ("returnUrl", "https:shop.example/"), ("returnUrl", "https:///evil.example"),
    ("returnUrl", "https://evil.example\\@shop.example/"), ("returnUrl", "https://shop.example\\.evil.example/"), ("returnUrl", "https://shop.example/\n"),
    ("returnUrl", "https://shop.example/a b"), ("returnUrl", f"{SHOP}/{'x' * 2048}"), ("returnUrl", "https://[shop.example/"),
    ("returnUrl", "https://shop.example:x/"), ("returnUrl", 1),
    ("locale", "xx"), ("locale", "klingon"), ("locale", "tlh"), ("locale", ""), ("locale", "de_CH"), ("locale", "en-US-x-private"), ("locale", "*"),
    ("locale", "en-" + "abcdefgh-" * 8 + "abcdefgh"), ("locale", "<b>"), ("locale", "de\n"), ("locale", 1),
]  # fmt: skip


async def test_a_bad_one_is_refused_by_name_and_nothing_is_stored(shop: Service) -> None:
    for name, value in REFUSED:
        status, problem = await shop.create(**{name: value})
        assert (status, problem["code"]) == (422, "validation_failed"), (name, value)
        assert [error["pointer"] for error in problem["errors"]] == [f"/{name}"], (name, value)
    status, problem = await shop.create(reference="a\x00b")
    assert (status, problem["code"]) == (400, "malformed_json"), "no text of a body has a NUL"
    assert await shop.stored() == 0
    assert len(shop.sandbox.store.sessions) == 0


async def test_without_allowed_origins_there_is_nowhere_to_return_to(service: Service) -> None:
    status, problem = await service.create(returnUrl=SHOP)
    assert (status, problem["errors"][0]["pointer"]) == (422, "/returnUrl")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://shop.example", SHOP), ("https://SHOP.example:443/x", SHOP), ("HTTPS://shop.example?x#y", SHOP),
        ("http://localhost:5173/#/thanks", "http://localhost:5173"), ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)  # fmt: skip
def test_an_origin_is_compared_as_browsers_send_it(url: str, origin: str) -> None:
    assert return_url(url) == url
    assert origin_of(url) == origin
    assert is_allowed(url, [origin]) and is_allowed(url, ["*"]) and not is_allowed(url, ["https://other.example"])


@pytest.mark.parametrize(
    ("given", "stored"),
    [("EN", "en"), ("de-ch", "de-CH"), ("zh-hans-cn", "zh-Hans-CN"), ("ZH", "zh"), ("es-419", "es-419"), ("de-1996-X", None), ("de-CH-1901", "de-CH-1901")],
)  # fmt: skip
def test_a_language_is_stored_in_its_usual_case(given: str, stored: str | None) -> None:
    if stored is None:
        with pytest.raises(ValueError, match="BCP 47"):
            locale(given)
    else:
        assert locale(given) == stored


def test_every_offered_language_is_accepted_as_it_is_written() -> None:
    assert [locale(tag) for tag in LOCALES] == list(LOCALES)


@pytest.mark.parametrize("text", ["A&B", "x" * 200, "注文 17", "\"quoted\" 'x'", "#1 / ü"])
def test_a_reference_of_printable_text_is_taken_as_it_is(text: str) -> None:
    assert reference(text) == text


async def test_operators_and_dapps_find_a_purchase_by_its_reference(start: Start, database_url: str) -> None:
    service = await start(url=database_url)
    ids = [(await service.create(reference=text))[1]["id"] for text in ("order-1", "order-2", "order-1")]
    await service.create(reference="order-3", walletAddress=OTHER)
    await service.create()
    for role in ("viewer", "operator", "approver", "admin", "dapp"):
        _, key = await create_key(service.database, role, f"{role} person")
        status, page = await call(service, "GET", f"{SESSIONS}?reference=order-1", key)
        assert status == 200
        assert [row["id"] for row in page["data"]] == [ids[2], ids[0]]
    _, everything = await call(service, "GET", SESSIONS, key)
    assert len(everything["data"]) == 5
    _, first = await call(service, "GET", f"{SESSIONS}?reference=order-1&limit=1", key)
    _, second = await call(service, "GET", f"{SESSIONS}?reference=order-1&limit=1&cursor={first['nextCursor']}", key)
    assert ([row["id"] for row in second["data"]], second["nextCursor"]) == ([ids[0]], None)
    assert (await call(service, "GET", f"{SESSIONS}?reference=%3Cb%3E", key))[0] == 422
    assert (await call(service, "GET", f"{SESSIONS}?reference=order-1"))[0] == 401
    assert all(row["redirectUrl"] is None and "clientSecret" not in row for row in everything["data"])

    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database_url, "LOG_LEVEL": "error"}
    listed = await asyncio.to_thread(run_onramp, environment, "sessions", "list", "--reference", "order-1", "--json")
    assert [row["id"] for row in json.loads(listed.stdout)["data"]] == [ids[2], ids[0]], listed.stderr
    shown = await asyncio.to_thread(run_onramp, environment, "sessions", "show", "order-2", "--json")
    assert json.loads(shown.stdout)["id"] == ids[1], shown.stderr


async def test_a_reference_that_looks_like_a_formula_is_text_in_a_table(service: Service) -> None:
    await service.create(reference='=HYPERLINK("https://evil.example")')
    _, key = await create_key(service.database, "viewer", "vera")
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/csv"}
    async with service.http.get(service.api + SESSIONS, headers=headers) as response:
        assert """"'=HYPERLINK(""" in await response.text()
