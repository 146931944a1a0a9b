"""Measure what the console waits for: the first page of many payouts against that of few, and a change until it is an event of the stream."""

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime
from typing import Final

import aiohttp
import asyncpg
import psutil
from sqlalchemy.engine import URL

from kit.alarms import service as alarms_service
from kit.db.database import Database, connect
from onramp import migrations
from onramp.dev.chain.anvil import free_port
from tests.support.api_keys import create_key
from tests.support.filled_database import Past

Process = Callable[[list[str], int, dict[str, str]], AbstractAsyncContextManager[psutil.Process]]
Environment = Callable[[str, int, str, str], dict[str, str]]
FEW: Final = 100
MANY: Final = 10_000
PAGES: Final = 1_500
"""How many first pages of each service are read, one after the other."""
CHANGES: Final = 100
HOT_WALLET: Final = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
TOKEN: Final = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"
READ_BY_LIST: Final = ("treasury_payouts", "treasury_history")


async def rows(
    server: URL, environment: Environment, process: Process, upstream: tuple[str, str]
) -> list[tuple[str, ...]]:
    """Return the rows of the table; `upstream` are the URLs of Stripe and of the nodes."""
    admin = await asyncpg.connect(server.render_as_string(hide_password=False))
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        urls, pages = [], []
        for count in (MANY, FEW):
            await admin.execute(f"CREATE DATABASE payouts_{count}")
            urls.append(server.set(database=f"payouts_{count}").render_as_string(hide_password=False))
            secret = await _filled(urls[-1], count)
            port = free_port()
            command = ["-m", "onramp", "serve", "--no-workers"]
            await stack.enter_async_context(process(command, port, environment(urls[-1], port, *upstream)))
            pages.append((f"http://127.0.0.1:{port}/api/v1", {"Authorization": f"Bearer {secret}"}))
        many, few = await _first_pages(http, *pages)
        latency = await _latency(http, urls[0], *pages[0])
    for count in (MANY, FEW):
        await admin.execute(f"DROP DATABASE payouts_{count} WITH (FORCE)")
    await admin.close()
    shown = [f"{seconds * 1000:.1f} ms" for seconds in (many, few)]
    return [
        (f"first page of {MANY:,} payouts, API p99, against {FEW} payouts", *shown, f"{many / few:.2f}x", "<= 1.2x"),
        ("change in the database to event on the stream, median and p99", *latency, "", "p99 <= 1 s"),
    ]


async def _filled(url: str, count: int) -> str:
    """Migrate and fill a database; return the secret of a viewer's key."""
    database = connect(url)
    await migrations.upgrade(database)
    await Past(database, count, HOT_WALLET, TOKEN).fill(READ_BY_LIST)
    _, secret = await create_key(database, "viewer", "vera")
    await database.close()
    return secret


async def _first_pages(http: aiohttp.ClientSession, *pages: tuple[str, dict[str, str]]) -> list[float]:
    """Return the 99th percentile of the seconds that each service takes for a first page; they are asked in turn."""
    seconds: list[list[float]] = [[] for _ in pages]
    for number in range(PAGES + 100):
        for taken, (base, headers) in zip(seconds, pages, strict=True):
            began = time.perf_counter()
            async with http.get(f"{base}/treasury/payouts", headers=headers) as answer:
                assert answer.status == 200
                await answer.read()
            if number >= 100:
                taken.append(time.perf_counter() - began)
    return [statistics.quantiles(taken, n=100)[98] for taken in seconds]


async def _latency(http: aiohttp.ClientSession, url: str, base: str, headers: dict[str, str]) -> tuple[str, str]:
    """Return median and 99th percentile of the time from a commit until its event has arrived."""
    database = connect(url)
    arrived: dict[str, float] = {}

    async def read(lines: aiohttp.StreamReader) -> None:
        while line := await lines.readline():
            if line.startswith(b"data: "):
                arrived[json.loads(line[6:])["id"]] = time.perf_counter()

    committed: dict[str, float] = {}
    async with http.get(f"{base}/changes", headers=headers, timeout=aiohttp.ClientTimeout(total=None)) as answer:
        reading = asyncio.create_task(read(answer.content))
        for number in range(CHANGES):
            await _change(database, number, committed)
            await asyncio.sleep(0.05 + 0.0031 * (number % 17))
        async with asyncio.timeout(10):
            while not committed.keys() <= arrived.keys():
                await asyncio.sleep(0.01)
        reading.cancel()
    await database.close()
    seconds = sorted(arrived[alarm] - committed[alarm] for alarm in committed)
    return f"{statistics.median(seconds) * 1000:.0f} ms", f"{seconds[len(seconds) * 99 // 100] * 1000:.0f} ms"


async def _change(database: Database, number: int, committed: dict[str, float]) -> None:
    async with database.write() as conn:
        await alarms_service.insert(conn, "bench", f"subject-{number}", datetime.now(UTC), {})
        alarm = next(row.id for row in await alarms_service.list_active(conn) if row.subject == f"subject-{number}")
    committed[alarm] = time.perf_counter()
