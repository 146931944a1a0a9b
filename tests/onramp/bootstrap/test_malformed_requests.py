"""Requests that are not text, not HTTP or not complete are client errors on both databases, and raise no alarm."""

import asyncio
import logging
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from onramp.ops import reference
from tests.support.service import Start

NONCE = b"POST /api/v1/auth/nonce"
SESSIONS = b"GET /api/v1/onramp/sessions"
ORDER = (
    b'{"walletAddress": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", "sourceAmount": "100", "sourceCurrency": "usd"}'
)
JSON = b"Content-Type: application/json"
ASKED: tuple[tuple[bytes, tuple[bytes, ...], bytes, int], ...] = (
    (b"POST /api/v1/onramp/sessions", (JSON, b"Idempotency-Key: " + b"\xff" * 20), ORDER, 201),
    (SESSIONS, (b"Authorization: Bearer \xff.\xff.\xff",), b"", 401),
    (b"GET /api/v1/keys/me", (b"Authorization: Bearer ork_\xff",), b"", 401),
    (b"GET /metrics", (b"Authorization: Bearer \xff",), b"", 401),
    (SESSIONS + b"/ons_%00", (), b"", 404),
    (SESSIONS + b"/ons_%00/events", (), b"", 404),
    (b"GET /api/v1/onramp/quotes?sourceAmount=1%00&sourceCurrency=usd", (), b"", 422),
    (NONCE, (JSON,), b'{"address": "\\u0000"}', 400),
    (b"POST /api/v1/onramp/sessions", (JSON,), ORDER[:-1] + b', "email": "ada@b.example\\r\\n.cc"}', 422),
    (NONCE, (JSON, b"Content-Encoding: gzip"), b"{}", 415),
    (b"NO HTTP AT ALL", (), b"", 400),
    (b"GET /health", (b"X-Long: " + b"a" * 9000,), b"", 431),
)  # fmt: skip


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    loggers = {"kit.http.middleware", "aiohttp.server"}
    return [
        record.getMessage() for record in caplog.records if record.name in loggers and record.levelno >= logging.ERROR
    ]


async def send(api: str, data: bytes, *, leave: bool = False) -> bytes:
    """Return the first line of the response; with `leave`, disconnect without waiting for it."""
    reader, writer = await asyncio.open_connection(urlsplit(api).hostname, urlsplit(api).port)
    writer.write(data)
    await writer.drain()
    line = b"" if leave else await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    return line


async def test_malformed_text_or_http_is_a_client_error(
    start: Start, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    service = await start(url=database_url, METRICS_TOKEN=SecretStr("m" * 20))
    found = []
    for line, headers, body, _ in ASKED:
        sized = (*headers, b"Host: here", b"Content-Length: %d" % len(body))
        first = await send(service.api, b"%b HTTP/1.1\r\n%b\r\n\r\n%b" % (line, b"\r\n".join(sized), body))
        found.append(int(first.split()[1]))
    assert found == [status for *_, status in ASKED]
    assert alarms(caplog) == []


async def test_very_many_wrong_fields_are_refused_in_one_sentence(service: Any) -> None:
    many = {str(number): "1" for number in range(101)}
    async with service.http.post(f"{service.api}/api/v1/auth/nonce", json=many) as answer:
        assert (answer.status, len((await answer.json(content_type=None))["errors"])) == (422, 1)
    async with service.http.get(f"{service.api}/api/v1/onramp/quotes", params=many) as answer:
        assert (answer.status, len((await answer.json(content_type=None))["errors"])) == (422, 1)


async def test_the_document_of_all_routes_is_written_once_however_often_it_is_asked_for(service: Any) -> None:
    before = reference._documents.cache_info().misses
    for path in ("/openapi.json", "/docs", "/openapi.json"):
        async with service.http.get(service.api + path) as answer:
            assert answer.status == 200
    assert reference._documents.cache_info().misses <= before + 1


async def test_a_client_that_disconnects_during_its_body_is_not_taken_for_a_lost_database(
    service: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await send(
        service.api, NONCE + b" HTTP/1.1\r\nHost: x\r\n" + JSON + b'\r\nContent-Length: 100\r\n\r\n{"a', leave=True
    )
    counted = 'onramp_http_requests_total{method="POST",route="/api/v1/auth/nonce",status="400"} 1.0'
    async with asyncio.timeout(60):
        while True:
            async with service.http.get(f"{service.api}/metrics") as answer:
                if counted in await answer.text():
                    break
            await asyncio.sleep(0.02)
    assert alarms(caplog) == []
