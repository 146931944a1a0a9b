"""Measure what each gate costs: a credential, a login, a rate limit."""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import psutil
from aiohttp.test_utils import make_mocked_request
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from kit.clock import SystemClock
from kit.crypto.keyring import KeyRing
from kit.db.database import connect
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.wallets.tokens import Tokens
from onramp.bootstrap.app import routes
from onramp.config.fields import DEVELOPMENT_KEY
from onramp.config.loader import load
from onramp.dev.chain.anvil import free_port
from onramp.limits.counter import Counts, MemoryCounts, SharedCounts
from onramp.limits.limiter import Limiter
from onramp.limits.rates import parse_rate
from tests.bench import load as loads
from tests.bench import logins
from tests.support.redis_server import recording_redis

Process = Callable[[list[str], int, dict[str, str]], AbstractAsyncContextManager[psutil.Process]]
Round = Callable[[], Awaitable[loads.Result]]
Compare = Callable[[str, str, Round, Round, int], Awaitable[tuple[str, ...]]]
Reading = Callable[[Sequence[str], str, str | None], Callable[[], bytes]]
JWT_SECRET = bytes(range(1, 33))
CHECKS = 20_000
SHARED_CHECKS = 1_000
PAIRS = 8
"""A gate costs some 4 of 300 µs: less than a machine's speed changes within seconds."""


async def viewer_key(url: str) -> str:
    """Create a viewer's key in the measured database; return its secret."""
    secret, database = api_keys_service.new_secret(), connect(url)
    async with database.write() as conn:
        await api_keys_service.create(
            conn, api_keys_service.Author("bench", datetime.now(UTC), is_production=False), key_id="key_bench",
            secret=secret, ring=KeyRing([DEVELOPMENT_KEY], "onramp"), role="viewer", name="bench", person="bench",
        )  # fmt: skip
    await database.close()
    return secret


async def wallet_token(url: str) -> str:
    """Return the token of a wallet that logged in."""
    database = connect(url)
    tokens = Tokens(database, [JWT_SECRET], 31611, SystemClock())
    token, _ = tokens.sign("0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", 0)
    await database.close()
    return token


async def rows(
    *, url: str, bare_url: str, environment: dict[str, str], session_ids: Sequence[str], seconds: float, rounds: int,
    process: Process, compare: Compare, reading: Reading,
) -> list[tuple[str, ...]]:  # fmt: skip
    """Return the rows of the table; `session_ids` are existing sessions."""
    port, bare = int(environment["PORT"]), free_port()
    environment = environment | {"JWT_SECRETS": JWT_SECRET.hex(), "RATE_LIMIT_AUTH": ""}
    open_read = reading(session_ids, "/api/v1/onramp/sessions", None)
    found = []

    def at(make: Callable[[], bytes]) -> Round:
        return lambda: loads.run(port, make, seconds / PAIRS)

    async with process(["-m", "tests.bench.gates", str(port)], port, environment) as ours:
        for name, base, secret in (
            ("session read with an API key, against one without", "/closed", await viewer_key(url)),
            ("session read with a wallet's token, against one without", "/mine", await wallet_token(url)),
        ):
            found.append(await compare(name, ">= 0.9x", at(reading(session_ids, base, secret)), at(open_read), PAIRS))
        async with process(["-m", "tests.bench.gates_bare", str(bare), bare_url], bare, {}) as other:
            found += await logins.rows(
                ours, port, other, bare, environment=environment, bare_url=bare_url, rounds=rounds
            )
    return [*found, *await checks(rounds)]


async def checks(rounds: int) -> list[tuple[str, ...]]:
    """Measure one check of the limit: in memory against one count in a dictionary, in Redis against one INCR."""
    counts: dict[str, int] = {}

    async def dictionary() -> None:
        counts["read:127.0.0.1"] = counts.get("read:127.0.0.1", 0) + 1

    memory = await turns(rounds, limit(MemoryCounts()), dictionary, CHECKS, time.process_time)
    found: list[tuple[str, ...]] = [
        ("limit check in memory, CPU", f"{memory[0] * 1e6:.1f} µs", f"{memory[1] * 1e6:.2f} µs", "", "<= 20 µs"),
    ]  # fmt: skip
    async with recording_redis() as (path, trips):
        shared = SharedCounts(
            f"redis+unix://{path}", SystemClock(), CollectorRegistry(), KeyRing([DEVELOPMENT_KEY], "onramp")
        )
        plain = Redis(unix_socket_path=str(path))
        check = limit(shared)

        async def incr() -> None:
            await plain.incr("bare")

        await check()
        await incr()
        before = len(trips)
        for _ in range(SHARED_CHECKS):
            await check()
        each = (len(trips) - before) / SHARED_CHECKS
        costs = await turns(rounds, check, incr, SHARED_CHECKS, time.perf_counter)
        await shared.close()
        await plain.aclose()
    found.append(("limit check in Redis, round trips", f"{each:.2f}", "1.00", "", "1"))
    found.append(
        ("limit check in Redis", f"{costs[0] * 1e6:.0f} µs", f"{costs[1] * 1e6:.0f} µs", f"{costs[0] / costs[1]:.2f}x", "")
    )  # fmt: skip
    return found


def limit(counts: Counts) -> Callable[[], Awaitable[None]]:
    """Return the limiter as a request uses it."""
    clock, rate = SystemClock(), parse_rate("1000000000/minute")
    limiter = Limiter(counts, {"create": rate, "read": rate, "auth": rate}, [], clock, CollectorRegistry())
    route = next(route for route in routes(load()) if route.name == "list_sessions")
    request = make_mocked_request("GET", "/api/v1/onramp/sessions")
    return lambda: limiter.check(request, route)


async def turns(
    rounds: int,
    ours: Callable[[], Awaitable[None]],
    bare: Callable[[], Awaitable[None]],
    count: int,
    clock: Callable[[], float],
) -> tuple[float, float]:
    """Return the median seconds of one call of each, measured in turn by this clock."""
    costs = []
    for _ in range(rounds):
        pair = []
        for call in (ours, bare):
            started = clock()
            for _ in range(count):
                await call()
            pair.append((clock() - started) / count)
        costs.append(pair)
    mine, theirs = (sorted(column)[len(column) // 2] for column in zip(*costs, strict=True))
    return mine, theirs
