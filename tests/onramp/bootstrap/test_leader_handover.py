"""A leader that receives SIGTERM hands the wallet over at once, and ends in time."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from kit.clock import SystemClock
from kit.db.database import Database, connect
from kit.worker import WorkerMetrics, WorkerRunner
from onramp.bootstrap.server import start_app
from onramp.dev.chain.anvil import free_port
from onramp.dev.chain.devchain import DevChain
from onramp.dev.local.wallet import dev_wallet
from onramp.dev.stripe.app import SandboxConfig, make_sandbox
from tests.support.command_line import ForkedProcess, start_onramp
from tests.support.service import SETTLEMENT
from treasury.core.leader import leaders
from treasury.transactions.table import transactions

BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"


@asynccontextmanager
async def _process(environment: dict[str, str], log: Path, *arguments: str) -> AsyncIterator[ForkedProcess]:
    process = start_onramp(environment, *arguments, log=log)
    try:
        yield process
    finally:
        process.kill()
        await process.ended()


async def _environment(url: str, chain: DevChain, home: Path, stripe: str, port: int) -> dict[str, str]:
    wallet = dev_wallet(home)
    await chain.mint(wallet.address, 10_000 * 10**18)
    await chain.fund_gas(wallet.address, 10**18)
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": url,
        "PORT": str(port),
        "STRIPE_SECRET_KEY": "sk_test_api",
        "STRIPE_API_BASE": stripe,
        "STRIPE_WEBHOOK_SECRETS": "whsec_x",
        "MEZO_RPC_URLS": ",".join(chain.rpc_urls),
        "MUSD_TOKEN_ADDRESS": chain.deployment.musd,
        "SETTLEMENT_ADDRESS": SETTLEMENT,
        "HOT_WALLET_ADDRESS": wallet.address,
        "HOT_WALLET_KEYSTORE": str(wallet.keystore),
        "HOT_WALLET_PASSWORD": wallet.password,
        "RATE_LIMIT_CREATE": "",
        "RATE_LIMIT_READ": "",
    }


async def _token(database: Database) -> int:
    """Return the current leader's fencing token; 0 without a leader."""
    async with database.read() as conn:
        row = (await conn.execute(sa.select(leaders))).one_or_none()
    return 0 if row is None or row.owner is None else int(row.token)


async def _sent(database: Database) -> int:
    async with database.read() as conn:
        return int(await conn.scalar(sa.select(sa.func.count()).select_from(transactions)) or 0)


async def _until(condition: Any, seconds: float) -> float:
    """Wait for the condition; return how long it took."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)
    return time.monotonic() - began


async def _buy(http: aiohttp.ClientSession, api: str, stripe: str) -> str | None:
    body = {"walletAddress": BUYER, "sourceAmount": "5", "sourceCurrency": "usd"}
    async with http.post(f"{api}/api/v1/onramp/sessions", json=body) as answer:
        made = await answer.json()
        if answer.status != 201:
            return None
    url = f"{stripe}/sandbox/onramp_sessions/{made['payment']['stripeSessionId']}/advance"
    async with http.post(url, json={"status": "fulfillment_complete"}) as answer:
        assert answer.status == 200
    return str(made["id"])


async def _shop(http: aiohttp.ClientSession, api: str, stripe: str, bought: list[str]) -> None:
    while True:
        made = await _buy(http, api, stripe)
        bought += [made] if made else []
        await asyncio.sleep(0.5)


async def test_another_process_pays_at_once_when_the_leader_stops(
    postgres_url: str, chain: DevChain, tmp_path: Path
) -> None:
    port, sandbox_port = free_port(), free_port()
    api, stripe = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    config = SandboxConfig("sk_test_api", "pk_test_api", f"{api}/api/v1/webhooks/stripe", ("whsec_x",), stripe)
    environment = await _environment(postgres_url, chain, tmp_path, stripe, port)
    database = connect(postgres_url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        runner, _ = await start_app(make_sandbox(config), "127.0.0.1", sandbox_port)
        stack.push_async_callback(runner.cleanup)
        http = await stack.enter_async_context(aiohttp.ClientSession())

        async def start(name: str, *arguments: str) -> ForkedProcess:
            return await stack.enter_async_context(_process(environment, tmp_path / name, *arguments))

        await start("serve.log", "serve", "--no-workers")
        first = await start("first.log", "work")
        await _until(lambda: _leads_after(database, 0), 60)
        second = await start("second.log", "work")

        async def sells() -> bool:
            try:
                return await _buy(http, api, stripe) is not None
            except aiohttp.ClientError:
                return False

        await _until(sells, 60)
        bought: list[str] = []
        buying = asyncio.create_task(_shop(http, api, stripe, bought))
        await _until(lambda: _more(database, 3), 60)
        await _until(lambda: _logged(tmp_path / "second.log", "working"), 60)
        token, sent = await _token(database), await _sent(database)
        signalled_at = time.monotonic()
        first.send_signal(signal.SIGTERM)
        await _until(lambda: _leads_after(database, token), 10)
        handed_over = time.monotonic() - signalled_at
        assert await asyncio.wait_for(first.ended(), 10) == 0
        assert time.monotonic() - signalled_at < 10
        await _until(lambda: _more(database, sent + 2), 15)
        buying.cancel()
        await asyncio.gather(buying, return_exceptions=True)
        assert handed_over < 2, (tmp_path / "first.log").read_text()[-3000:]

        async def completed() -> bool:
            for one in bought:
                async with http.get(f"{api}/api/v1/onramp/sessions/{one}") as answer:
                    if (await answer.json())["status"] != "completed":
                        return False
            return True

        await _until(completed, 60)
        second.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(second.ended(), 10) == 0


async def _leads_after(database: Database, token: int) -> bool:
    return await _token(database) > token


async def _more(database: Database, count: int) -> bool:
    return await _sent(database) >= count


async def _logged(log: Path, event: str) -> bool:
    return event in log.read_text()


class Holder:
    """A worker that holds a lease; its step lasts as long as the test says."""

    name = "holder"
    interval = 0.01

    def __init__(self, step_seconds: float, *, fails: bool = False) -> None:
        self.step_seconds = step_seconds
        self.fails = fails
        self.events: list[str] = []

    async def step(self) -> bool:
        self.events.append("begun")
        await asyncio.sleep(self.step_seconds)
        self.events.append("ended")
        return False

    async def stop(self) -> None:
        self.events.append("released")
        if self.fails:
            raise OSError("the database is away")


@pytest.mark.parametrize("fails", [False, True])
async def test_a_worker_releases_its_lease_once_after_its_last_step(fails: bool) -> None:
    worker = Holder(0.05, fails=fails)
    runner = WorkerRunner([worker], SystemClock(), WorkerMetrics(CollectorRegistry(), "onramp"))
    runner.start()
    await asyncio.sleep(0)
    await runner.stop()
    assert worker.events == ["begun", "ended", "released"]


async def test_a_step_that_had_to_be_cancelled_gives_nothing_back() -> None:
    worker = Holder(60)
    runner = WorkerRunner([worker], SystemClock(), WorkerMetrics(CollectorRegistry(), "onramp"))
    runner.start()
    await asyncio.sleep(0)
    await runner.stop(grace=0.1)
    assert worker.events == ["begun"]
