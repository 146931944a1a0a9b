"""No request delays the others: the most expensive request to each route, by a caller who may send it, takes at most 50 ms of the event loop."""

import asyncio
import hashlib
import hmac
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import orjson
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from kit.audit.table import entries
from kit.clock import SystemClock
from kit.http.routing import Route
from onramp.auth.wallets.tokens import Tokens
from onramp.bootstrap.app import routes
from onramp.config.loader import load
from onramp.sessions.table import sessions
from tests.support.loop_lag import LONGEST_STEP, Steps, longest, raw
from tests.support.operators import make_key
from tests.support.service import SECRETS, Service, Start

pytestmark = pytest.mark.starts_first

TABLE = routes(load())
SECRET = bytes(range(32))
WALLET = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
SESSIONS = 3000
ENTRIES = 3000


@pytest.fixture
async def busy(start: Start, postgres_url: str) -> Service:
    """A service with a long history: one wallet with thousands of purchases, and thousands of audit rows."""
    service = await start(
        url=postgres_url,
        JWT_SECRETS=SecretStr(SECRET.hex()),
        RATE_LIMIT_AUTH="",
        RATE_LIMIT_READ="",
        RATE_LIMIT_CREATE="",
    )
    _, made = await service.create()
    now = datetime.now(UTC)
    async with service.database.write() as conn:
        row = (await conn.execute(sa.select(sessions).where(sessions.c.id == made["id"]))).one()._asdict()
        paid = {
            "payment_status": "fulfillment_complete", "delivered_units": 99_500_000, "expected_units": 99 * 10**18, "received_units": 99 * 10**18,
            "delivery_status": "confirmed", "tx_hash": "0x" + "ab" * 32, "block_number": 15_937_001, "agreed_by": ["alpha", "beta"],
            "paid_at": now, "confirmed_at": now,
        }  # fmt: skip
        rows = [
            row | paid | {"id": f"ons_{number:032}", "stripe_session_id": f"cos_{number}", "idempotency_hash": None, "created_at": now - timedelta(minutes=number)}
            for number in range(SESSIONS)
        ]  # fmt: skip
        await conn.execute(sa.insert(sessions), rows)
        await conn.execute(
            sa.insert(entries),
            [
                {
                    "at": now, "actor": "machine", "action": "test.entry", "subject": f"sub_{number}",
                    "old_values": {"a": "b" * 200}, "new_values": {"c": "d" * 200},
                }
                for number in range(ENTRIES)
            ],
        )  # fmt: skip
    return service


async def credentials(service: Service) -> dict[str, str]:
    """Return a header for each kind of caller."""
    token, _ = Tokens(service.database, [SECRET], 31611, SystemClock()).sign(WALLET, 0)
    found = {"wallet": f"Authorization: Bearer {token}"}
    for role in ("viewer", "operator", "approver", "admin"):
        found[role] = f"Authorization: Bearer {await make_key(service.database, role, role)}"
    return found


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = (
        f"{method} {path} HTTP/1.1",
        "Host: x",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
        "",
        "",
    )
    return "\r\n".join(lines).encode() + body


def bodies(route: Route) -> Iterator[tuple[str, bytes]]:
    """Yield the largest bodies that a route accepts, in the shapes that cost most to parse."""
    size = route.limit - 200
    assert route.body is not None
    names = [field.alias or name for name, field in route.body.model_fields.items()]
    inside: dict[str, bytes] = {
        "a long text": b'"' + b"a" * size + b'"',
        "quotes": b'"' + b'\\"' * (size // 2) + b'"',
        "backslashes": b'"' + b"\\\\" * (size // 2) + b'"',
        "wide letters": b'"' + "\U0001f600".encode() * (size // 4) + b'"',
        "escaped letters": b'"' + b"\\u0430" * (size // 6) + b'"',
        "digits": b'"' + b"9" * size + b'"',
        "a long number": b"9" * size,
        "lists": b"[" + b",".join([b"[]"] * (size // 3)) + b"]",
        "objects": b"[" + b",".join([b'{"a":1}'] * (size // 8)) + b"]",
        "hexadecimal": b'"0x' + b"ab" * (size // 2) + b'"',
        "lines": b'"' + b"a\\n" * (size // 3) + b'"',
    }
    yield "many fields", b"{" + b",".join(b'"%d":0' % number for number in range(size // 9)) + b"}"
    yield "one field often", b"{" + b",".join([b'"a":0'] * (size // 6)) + b"}"
    yield "a nest", b"[" * (size // 2) + b"]" * (size // 2)
    for what, value in inside.items():
        yield (
            what,
            b"{"
            + b",".join(b'"%b":"a"' % name.encode() for name in names[:-1])
            + (b"," if names[:-1] else b"")
            + b'"%b":%b}' % (names[-1].encode() if names else b"a", value),
        )
        for name in names[:-1]:
            yield f"{what} as {name}", b'{"%b":%b}' % (name.encode(), value)


def path_of(route: Route) -> str:
    return re.sub(r"{[^}]+}", f"ons_{1:032}", route.path)


async def slow(service: Service, asked: list[tuple[str, bytes]]) -> list[tuple[str, float, str]]:
    """Return the requests whose longest step takes too long, with its duration."""
    found = []
    for name, data in asked:
        steps: Steps = await longest(lambda data=data: raw(service.api, data))  # type: ignore[misc]
        if steps.longest > LONGEST_STEP:
            found.append((name, steps.longest, steps.where))
    return found


JSON = "Content-Type: application/json"


async def test_bodies_of_every_route(busy: Service) -> None:
    who = await credentials(busy)
    asked = [
        (f"{route.method} {route.path}: {what}", request(route.method, path_of(route), JSON, *([who[route.access]] if route.access in who else ()), body=body))
        for route in TABLE if route.body is not None and not route.raw_body
        for what, body in bodies(route)
    ]  # fmt: skip
    assert await slow(busy, asked) == []


async def test_answers_of_every_route(busy: Service) -> None:
    who = await credentials(busy)
    asked = []
    for route in TABLE:
        if route.method != "GET" or route.event is not None:  # streams do not end
            continue
        limit = (
            next((one.le for one in route.query.model_fields["limit"].metadata if hasattr(one, "le")), 1)
            if route.query and "limit" in route.query.model_fields
            else None
        )
        path = path_of(route) + (f"?limit={limit}" if limit else "")
        key_of = [who[route.access]] if route.access in who else []
        asked += [
            (f"{path} {accept[:20]}", request("GET", path, f"Accept: {accept}", *key_of))
            for accept in ("*/*", "application/pdf", "text/csv", "a/b;q=0.5," * 700)
        ]
    assert await slow(busy, asked) == []


async def test_strange_paths_queries_and_headers(busy: Service) -> None:
    quotes, history = "/api/v1/onramp/quotes", "/api/v1/onramp/sessions"
    wallet = (await credentials(busy))["wallet"]
    long = 7500
    asked = [
        *((f"path of {part}", request("GET", (part * long)[:long])) for part in ("/", "/a", "/%2e", "/%F0%9F%98%80", "/..", "//", "/api/v1/")),
        *((f"file of {part}", request("GET", "/checkout/" + (part * long)[:long])) for part in ("a/", "../", "%2e%2e/", "%00", "a%2f")),
        *((f"query of {part}", request("GET", f"{quotes}?" + (part * long)[:long])) for part in ("a=1&", "&", "=", "sourceAmount=1&", "%41=%41&", "a;")),
        ("amount", request("GET", f"{quotes}?sourceAmount={'9' * long}&sourceCurrency=usd")),
        ("fraction", request("GET", f"{quotes}?sourceAmount=0.{'9' * long}&sourceCurrency=usd")),
        ("currency", request("GET", f"{quotes}?sourceAmount=1&sourceCurrency={'usd' * 2500}")),
        ("cursor", request("GET", f"{history}?cursor={'1' * long}", wallet)),
        ("session", request("GET", f"{history}/{'ons_' * 1800}")),
        ("nobody's token", request("GET", history, "Authorization: Bearer " + "." * 8000)),
        ("a long token", request("GET", history, "Authorization: Bearer " + "eyJhbGciOiJIUzI1NiJ9." + "a" * 4000 + "." + "b" * 3900)),
        ("a long key", request("GET", "/api/v1/keys/me", "Authorization: Bearer ork_" + "a" * 8000)),
        ("proxies", request("GET", f"{quotes}?a=1", "X-Forwarded-For: " + "1.1.1.1," * 1000)),
        ("languages", request("GET", "/checkout", "Accept-Language: " + "de;q=0.5," * 800)),
        ("cookies", request("GET", "/health", "Cookie: " + "a=b;" * 2000)),
        ("tags", request("GET", "/checkout/app.js", "If-None-Match: " + '"a",' * 2000)),
        ("ranges", request("GET", "/checkout/app.js", "Range: bytes=" + "0-1," * 2000)),
        ("many headers", request("GET", "/health", *(f"X-{number}: {'a' * 60}" for number in range(120)))),
        ("an idempotency key", request("POST", history, JSON, "Idempotency-Key: " + "k" * 8000, body=b"{}")),
        ("a signature", request("POST", "/api/v1/webhooks/stripe", JSON, "Stripe-Signature: t=1," + "v1=aa," * 1300, body=b"{}")),
        ("boundaries", request("POST", history, "Content-Type: multipart/form-data; boundary=" + "x" * 8000, body=b"--x\r\n" * 12_000)),
        ("parameters", request("POST", history, "Content-Type: application/json" + ";a=b" * 2000, body=b"{}")),
    ]  # fmt: skip
    assert await slow(busy, asked) == []


async def test_chunks_however_small(busy: Service) -> None:
    chunked = "Transfer-Encoding: chunked"
    asked = []
    for path in ("/health", "/api/v1/onramp/sessions", "/api/v1/auth/login", "/api/v1/webhooks/stripe"):
        start = request("POST", path, JSON, "Stripe-Signature: t=1,v1=aa", chunked).replace(
            b"Content-Length: 0\r\n", b""
        )
        asked += [
            (f"{path} one byte", start + b"1\r\nx\r\n" * 300_000 + b"0\r\n\r\n"),
            (f"{path} extensions", start + b"1;" + b"a=b;" * 500_000 + b"c=d\r\nx\r\n0\r\n\r\n"),
            (f"{path} many extensions", start + (b"1;" + b"a" * 100 + b"\r\nx\r\n") * 20_000 + b"0\r\n\r\n"),
            (f"{path} trailers", start + b"1\r\nx\r\n0\r\n" + b"X-A: b\r\n" * 200_000 + b"\r\n"),
        ]
    assert await slow(busy, asked) == []


async def test_events_of_stripe_as_large_as_they_may_be(busy: Service) -> None:
    def signed(body: bytes) -> bytes:
        now = int(time.time())
        mac = hmac.digest(SECRETS[0].encode(), f"{now}.".encode() + body, hashlib.sha256).hex()
        return request("POST", "/api/v1/webhooks/stripe", JSON, f"Stripe-Signature: t={now},v1={mac}", body=body)

    size = (1 << 20) - 400
    event = orjson.dumps(
        {
            "id": "evt_1",
            "object": "event",
            "type": "a.b",
            "created": int(time.time()),
            "data": {"object": {"id": "cos_1"}},
        }
    )
    values = {
        "text": b'"' + b"a" * size + b'"', "lists": b"[" + b",".join([b"[]"] * (size // 3)) + b"]",
        "objects": b"[" + b",".join([b'{"a":1}'] * (size // 8)) + b"]", "quotes": b'"' + b'\\"' * (size // 2) + b'"',
        "fields": b"{" + b",".join(b'"%d":0' % number for number in range(size // 11)) + b"}", "numbers": b"[" + b",".join([b"0"] * (size // 2)) + b"]",
    }  # fmt: skip
    asked = [(name, signed(event[:-1] + b',"more":' + value + b"}")) for name, value in values.items()]
    asked.append(
        (
            "unsigned",
            request("POST", "/api/v1/webhooks/stripe", JSON, "Stripe-Signature: t=1,v1=aa", body=b"[" * (1 << 20)),
        )
    )
    assert await slow(busy, asked) == []


async def test_figures_of_a_service_that_was_asked_much(busy: Service) -> None:
    """`/metrics` with every route and status that strangers can cause."""
    everything = [
        request(method, path_of(route))
        for route in TABLE
        if not route.path.endswith("/events")
        for method in ("GET", "POST", "PUT", "DELETE")
    ]

    def ask() -> None:
        for data in everything:
            raw(busy.api, data)

    await asyncio.to_thread(ask)
    assert await slow(busy, [("metrics", request("GET", "/metrics"))]) == []
