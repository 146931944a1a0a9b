"""Strangers hold connections, send no HTTP or compress their bodies, and the running service still answers everyone else."""

import asyncio
import gzip
import os
import re
import resource
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from kit.http.routing import Route
from onramp.bootstrap.app import routes
from onramp.bootstrap.server import start_app
from onramp.config.loader import load
from onramp.dev.chain.anvil import free_port
from onramp.ops.routes import make_metrics_app
from tests.support.loop_lag import LONGEST_STEP, longest, raw
from tests.support.service import SETTLEMENT, Service

TABLE = routes(load())
CODINGS = (
    ("Content-Encoding: gzip",), ("Content-Encoding: GZip",), ("Content-Encoding: deflate",), ("Content-Encoding: br",),
    ("Content-Encoding: zstd",), ("Content-Encoding: identity, gzip",), ("Content-Encoding: identity", "Content-Encoding: gzip"),
    ("content-encoding:  x-gzip ",), ("Content-Encoding: gzip", "Content-Encoding: gzip"), ("Content-Encoding: nonsense",),
)  # fmt: skip
SECRET = b"ork_aaaabbbbccccdddd"
NO_HTTP = (
    (b"HELLO\r\n\r\n", 400), (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200, 400), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (b"GET /health\r\n\r\n", 505), (b"GET /health HTTP/0.9\r\n\r\n", 505), (b"GET /health HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    (b"GET /health HTTP/1.1\r\n\r\n", 400), (b"\x00" * 50, 400),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nAuthorization Bearer " + SECRET + b"\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + SECRET + b"\x00\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: " + SECRET + b"\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", 400),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: /" + SECRET + b"a" * 9000 + b"\r\n\r\n", 431),
    (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"a" * 9000 + b": b\r\n\r\n", 431),
    (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(500)) + b"\r\n", 431),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nExpect: " + SECRET + b"\r\n\r\n", 417),
    (b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    (b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: zstd, chunked\r\n\r\n0\r\n\r\n", 501),
)  # fmt: skip


def problem(answer: bytes) -> dict[str, Any]:
    """Return the one problem document of the response; assert the headers that every response has."""
    head, _, body = answer.partition(b"\r\n\r\n")
    text = head.decode().lower()
    assert "\r\ncontent-type: application/problem+json" in text, answer[:300]
    assert re.findall(r"\r\nserver: (.*?)(?:\r\n|$)", text) == ["onramp"], text
    document: dict[str, Any] = orjson.loads(body)
    assert f"\r\nx-request-id: {document['requestId']}" in text
    assert head.split()[1].decode() == str(document["status"])
    return document


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body


def paths(table: list[Route]) -> list[tuple[str, str]]:
    return [(route.method, re.sub(r"{[^}]+}", "x", route.path)) for route in table]


async def test_bytes_that_are_no_http_get_a_problem_that_repeats_nothing(service: Service) -> None:
    for data, status in NO_HTTP:
        answer = await asyncio.to_thread(raw, service.api, data)
        assert problem(answer)["status"] == status, data[:80]
        assert SECRET not in answer and b"aiohttp" not in answer and b"Python" not in answer, data[:80]


@pytest.mark.parametrize("coding", CODINGS, ids=", ".join)
async def test_a_packed_body_is_refused_on_every_path(service: Service, coding: tuple[str, ...]) -> None:
    asked = [*paths(TABLE), ("POST", "/health"), ("DELETE", "/metrics"), ("PUT", "/"), ("GET", "/nothing/here")]
    packed = gzip.compress(b"{}")
    data = [request(method, path, *coding, body=packed) for method, path in asked]
    answers = await asyncio.gather(*(asyncio.to_thread(raw, service.api, one) for one in data))
    for answer in answers:
        if not answer.startswith(b"HTTP/1.1 415") or b"HEAD" in answer:
            raise AssertionError(answer[:200])
    assert {problem(answer)["code"] for answer in answers} == {"encoding_unsupported"}


@pytest.mark.parametrize(
    "coding", ["Content-Encoding: identity", "Content-Encoding:", "Content-Encoding: Identity, identity"]
)
async def test_a_body_as_it_is_may_say_so(service: Service, coding: str) -> None:
    data = request("GET", "/health", coding, "Connection: close")
    assert (await asyncio.to_thread(raw, service.api, data)).startswith(b"HTTP/1.1 200")


async def test_a_decompression_bomb_does_not_slow_other_requests(service: Service) -> None:
    bomb = gzip.compress(b"0" * (300 << 20), 9)
    for path in ("/health", "/api/v1/onramp/sessions", "/api/v1/webhooks/stripe", "/nothing"):
        sent = request("POST", path, "Content-Encoding: gzip", body=bomb)
        steps = await longest(lambda sent=sent: raw(service.api, sent))  # type: ignore[misc]
        assert steps.longest < LONGEST_STEP, (path, steps.slow)
        assert steps.total < 0.5, (path, steps)


def chunked(path: str, size: int, length: int) -> bytes:
    """Return a request whose body of zeros arrives in chunks of `size` bytes."""
    chunk = f"{size:x}\r\n".encode() + b"0" * size + b"\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    return head.encode() + chunk * (length // size) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 3, 10])
async def test_a_body_in_tiny_pieces_does_not_slow_other_requests(service: Service, size: int) -> None:
    for path in ("/health", "/api/v1/onramp/sessions", "/api/v1/webhooks/stripe", "/nothing"):
        sent = chunked(path, size, size << 20)
        await asyncio.to_thread(raw, service.api, request("POST", path, "Connection: close"))  # a first one imports
        steps = await longest(lambda sent=sent: raw(service.api, sent))  # type: ignore[misc]
        assert steps.longest < LONGEST_STEP, (path, steps.slow)
        assert steps.total < 0.5, (path, steps)


@pytest.mark.parametrize("size", [64, 1000, 65_536])
async def test_a_body_in_ordinary_chunks_is_read(service: Service, size: int) -> None:
    answer = await asyncio.to_thread(raw, service.api, chunked("/api/v1/webhooks/stripe", size, 900_000))
    assert problem(answer)["code"] == "signature_invalid"


async def test_the_other_servers_of_the_house_refuse_alike() -> None:
    registry = CollectorRegistry()
    metrics, _ = await start_app(
        make_metrics_app(load(METRICS_TOKEN=SecretStr("m" * 20)), registry), "127.0.0.1", port := free_port()
    )
    api = f"http://127.0.0.1:{port}"
    for data, status in (
        (request("POST", "/metrics", "Content-Encoding: gzip", body=gzip.compress(b"0")), 415),
        (request("GET", "/nothing"), 404), (request("POST", "/health"), 405), (b"HELLO\r\n\r\n", 400),
    ):  # fmt: skip
        assert problem(await asyncio.to_thread(raw, api, data))["status"] == status
    for path in ("/metrics", "/health"):
        answer = await asyncio.to_thread(raw, api, request("GET", path, "Connection: close"))
        assert b"\r\nServer: onramp\r\n" in answer
    await metrics.cleanup()


async def test_the_sandbox_refuses_alike(service: Service) -> None:
    packed = request("POST", "/v1/crypto/onramp_sessions", "Content-Encoding: gzip", body=gzip.compress(b"0"))
    assert problem(await asyncio.to_thread(raw, service.stripe, packed))["status"] == 415


async def test_no_answer_names_what_serves(service: Service) -> None:
    _, made = await service.create()
    for path in (
        "/health",
        "/docs",
        "/openapi.json",
        "/nothing",
        "/metrics",
        "/checkout",
        f"/api/v1/onramp/sessions/{made['id']}",
    ):
        for method in ("GET", "HEAD", "OPTIONS", "DELETE"):
            async with service.http.request(method, service.api + path) as answer:
                assert answer.headers.getall("Server") == ["onramp"], (method, path)
                assert "X-Request-Id" in answer.headers
    async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{made['id']}/events") as stream:
        assert stream.headers["Server"] == "onramp"


@contextmanager
def silent(port: int, count: int, data: bytes) -> Iterator[None]:
    """Open this number of connections, each of which sends these bytes and no more."""
    held = []
    try:
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", port), timeout=10)
            held.append(one)
            with suppress(OSError):  # closed for a later one
                one.sendall(data)
        yield
    finally:
        for one in held:
            one.close()


HELD = (
    b"", b"GET /health HTTP/1.1\r\nX-A", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /api/v1/webhooks/stripe HTTP/1.1\r\nHost: x\r\nStripe-Signature: t=1,v1=a\r\nContent-Length: 9\r\n\r\n",
)  # fmt: skip


async def test_more_connections_than_descriptors_lock_no_client_out(sqlite_url: str, tmp_path: Path) -> None:
    """The service may open 512 files, and strangers hold more connections than that: it serves, and reaches its database."""
    port, log = free_port(), tmp_path / "service.log"
    environment = {
        "PATH": os.environ["PATH"], "DATABASE_URL": sqlite_url, "PORT": str(port), "STRIPE_SECRET_KEY": "sk_test_x",
        "STRIPE_API_BASE": "http://127.0.0.1:9", "STRIPE_WEBHOOK_SECRETS": "whsec_x", "DELIVERY_MODE": "observe",
        "DELIVERY_SENDERS": SETTLEMENT, "MEZO_RPC_URLS": "a=http://127.0.0.1:9,b=http://127.0.0.1:19", "RATE_LIMIT_AUTH": "",
    }  # fmt: skip
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "onramp", "serve", "--no-workers", env=environment, stdout=output, stderr=output,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 512)),
        )  # fmt: skip
    api = f"http://127.0.0.1:{port}"
    try:
        await up(api)
        for data in HELD:
            with silent(port, 600, data):
                for _ in range(10):
                    await is_served(api)
        assert "Too many open files" not in log.read_text()
    finally:
        process.terminate()
        await process.wait()


async def is_served(api: str) -> None:
    """Assert that a route that needs the database is served on a new connection."""
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{api}/health") as answer:
            assert answer.status == 200
        body = {"address": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"}
        async with http.post(f"{api}/api/v1/auth/nonce", json=body) as answer:
            assert answer.status == 200


async def up(api: str) -> None:
    deadline = time.monotonic() + 60
    async with aiohttp.ClientSession() as http:
        while time.monotonic() < deadline:
            try:
                async with http.get(f"{api}/health"):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
    raise AssertionError("the service did not start")
