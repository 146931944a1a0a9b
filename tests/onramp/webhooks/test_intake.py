"""The webhook endpoint: what Stripe did not sign is a 400, and what it signed is stored once."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from onramp.config.loader import SettingsError, load
from onramp.webhooks.event import MalformedEvent, parse_event
from onramp.webhooks.signature import WebhookSignatureInvalid, verify
from onramp.webhooks.table import inbox
from tests.support.service import SECRETS, Service, Start
from tests.support.webhook_events import make_event, post_event, sign


async def rows(service: Service) -> list[Any]:
    async with service.database.read() as conn:
        return list(await conn.execute(sa.select(inbox)))


async def test_a_signed_event_is_stored_once_however_often_it_comes(service: Service) -> None:
    for _ in range(3):
        assert (await post_event(service, make_event(), sign(make_event())))[0] == 200
    (row,) = await rows(service)
    assert (row.id, row.state, row.stripe_session_id) == ("evt_1", "pending", "cos_1")


async def test_the_second_secret_of_a_rotation_is_good(service: Service) -> None:
    assert (await post_event(service, make_event(), sign(make_event(), SECRETS[1])))[0] == 200


async def test_events_are_taken_from_listed_addresses_alone(start: Start) -> None:
    service = await start(STRIPE_WEBHOOK_ADDRESSES="3.18.12.63, 2001:db8::/32", TRUSTED_PROXIES="127.0.0.0/8")
    url, body = f"{service.api}/api/v1/webhooks/stripe", make_event()
    found = []
    for forwarded in (
        "3.18.12.63",
        "2001:db8::7",
        "6.6.6.6, 3.18.12.63",
        "3.18.12.63, 6.6.6.6",
        "3.18.12.64",
        "nonsense",
        "",
    ):
        headers = {"Stripe-Signature": sign(body), "X-Forwarded-For": forwarded}
        async with service.http.post(url, data=body, headers=headers) as answer:
            found.append((answer.status, (await answer.json(content_type=None)).get("code")))
    assert found == [(200, None)] * 3 + [(403, "address_not_allowed")] * 4
    assert len(await rows(service)) == 1
    with pytest.raises(SettingsError, match="STRIPE_WEBHOOK_ADDRESSES"):
        load(STRIPE_WEBHOOK_ADDRESSES="stripe.com")


async def test_without_a_trusted_proxy_no_header_identifies_stripe(start: Start) -> None:
    service = await start(STRIPE_WEBHOOK_ADDRESSES="3.18.12.63")
    headers = {"Stripe-Signature": sign(make_event()), "X-Forwarded-For": "3.18.12.63"}
    async with service.http.post(f"{service.api}/api/v1/webhooks/stripe", data=make_event(), headers=headers) as answer:
        assert answer.status == 403


async def test_a_hint_needs_an_id_a_type_and_a_session_alone(service: Service) -> None:
    body = b'{"id":"evt_1","type":"crypto.onramp_session.updated","data":{"object":{"id":"cos_1"}}}'
    assert (await post_event(service, body, sign(body)))[0] == 200
    (row,) = await rows(service)
    assert (row.stripe_session_id, row.session_status, row.state) == ("cos_1", None, "pending")
    bare = b'{"id":"evt_2","type":"charge.succeeded","data":{"object":{}}}'
    assert (await post_event(service, bare, sign(bare)))[0] == 200


async def test_an_event_of_another_type_is_stored_as_ignored(service: Service) -> None:
    body = make_event(kind="charge.succeeded")
    assert (await post_event(service, body, sign(body)))[0] == 200
    (row,) = await rows(service)
    assert (row.state, row.reason) == ("ignored", "another type of event")


async def test_a_thin_event_is_stored_as_ignored(service: Service) -> None:
    body = (
        b'{"id":"evt_test_61","object":"v2.core.event","type":"v2.core.account.updated","livemode":false,'
        b'"created":"2026-01-22T01:22:03.000Z","related_object":{"id":"acct_1","type":"v2.core.account","url":"/v2/x"}}'
    )
    assert (await post_event(service, body, sign(body)))[0] == 200
    (row,) = await rows(service)
    assert (row.id, row.state, row.reason) == ("evt_test_61", "ignored", "another type of event")


BODIES = (
    b'{"object": "v2.core.event", "type": "v2.core.account.updated"}',
    b'{"object": "v2.core.event", "id": "evt_1"}',
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff",
    b'{"object":"event"}',
    b"[" * 100_000,
    make_event().replace(b'"evt_1"', b"7"),
    make_event().replace(b'"created":1', b'"created":"x"'),
)


@pytest.mark.parametrize("body", BODIES)
async def test_a_signed_body_that_is_no_event_is_400(service: Service, body: bytes) -> None:
    status, problem = await post_event(service, body, sign(body))
    assert (status, problem["code"]) == (400, "malformed_event")
    assert await rows(service) == []


# Made when the test runs: a header signed when the tests are collected is stale before a long run reaches it.
HEADERS: dict[str, Callable[[], str | None]] = {
    "no header": lambda: None,
    "an empty one": lambda: "",
    "no signature": lambda: "t=1",
    "no time": lambda: "v1=00",
    "no pairs": lambda: "nonsense",
    "a time in letters": lambda: "t=x,v1=00",
    "a signature in letters": lambda: "t=1,v1=zz,",
    "a time in Arabic digits": lambda: "t=٣,v1=00",
    "a semicolon": lambda: "t=1;v1=00",
    "two times": lambda: "t=1,t=2,v1=00",
    "a time with leading zeros": lambda: "t=0001,v1=00",
    "another secret": lambda: sign(make_event(), "whsec_other"),
    "an hour ago": lambda: sign(make_event(), SECRETS[0], int(time.time()) - 3600),
    "in an hour": lambda: sign(make_event(), SECRETS[0], int(time.time()) + 3600),
    "another body": lambda: sign(make_event(2)),
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
async def test_an_event_without_a_recent_signature_of_stripe_is_400(
    service: Service, header: Callable[[], str | None]
) -> None:
    status, problem = await post_event(service, make_event(), header())
    assert (status, problem["code"]) == (400, "signature_invalid")
    assert await rows(service) == []


async def test_a_body_above_a_mebibyte_is_413(service: Service) -> None:
    body = b" " * (1024 * 1024 + 1)
    assert (await post_event(service, body, sign(body)))[0] == 413


def test_an_empty_secret_verifies_nothing() -> None:
    body = make_event()
    with pytest.raises(WebhookSignatureInvalid):
        verify(body, sign(body, ""), ("",), int(time.time()))


def test_spaces_after_commas_and_old_schemes_are_let_pass() -> None:
    body = make_event()
    verify(body, sign(body).replace(",", ", ") + ", v0=00", SECRETS, int(time.time()))


def test_stripes_own_helper_signs_what_we_verify() -> None:
    from stripe import WebhookSignature

    body = make_event()
    at = int(time.time())
    header = WebhookSignature.generate_signature_header(body.decode(), SECRETS[0], timestamp=at)
    verify(body, header, SECRETS, at)


@pytest.mark.parametrize("body", BODIES)
def test_no_body_raises_anything_else(body: bytes) -> None:
    with pytest.raises(MalformedEvent):
        parse_event(body)


async def test_without_a_secret_every_event_is_refused(start: Start) -> None:
    service = await start(STRIPE_WEBHOOK_SECRETS=SecretStr(""))
    header = sign(make_event(), "")
    async with service.http.post(
        f"{service.api}/api/v1/webhooks/stripe", data=make_event(), headers={"Stripe-Signature": header}
    ) as answer:
        problem = await answer.json(content_type=None)
    assert (answer.status, problem["code"]) == (503, "webhooks_not_configured")
