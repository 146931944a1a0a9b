"""On SIGTERM the service finishes what it has begun, closes its streams and ends; a second SIGTERM changes nothing."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from onramp.bootstrap.server import start_app
from onramp.dev.chain.anvil import free_port
from onramp.dev.stripe.app import SANDBOX, SandboxConfig, make_sandbox
from onramp.dev.stripe.faults import Fault
from tests.support.service import SETTLEMENT
from tests.support.tcp_relay import Relay

BODY = {"walletAddress": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", "sourceAmount": "20", "sourceCurrency": "usd"}


@asynccontextmanager
async def served(
    url: str, stripe: str, log: Path, command: str = "serve"
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run `onramp serve` with all workers in a separate process, in observe mode, which needs no stock."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": url,
        "PORT": str(port),
        **({"METRICS_PORT": str(port)} if command == "work" else {}),
        "STRIPE_SECRET_KEY": "sk_test_x",
        "STRIPE_API_BASE": stripe,
        "STRIPE_WEBHOOK_SECRETS": "whsec_x",
        "DELIVERY_MODE": "observe",
        "DELIVERY_SENDERS": SETTLEMENT,
        "MEZO_RPC_URLS": "a=http://127.0.0.1:9,b=http://127.0.0.1:19",
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "onramp", command, env=environment, stdout=output, stderr=output
        )
    api = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as http:
            for _ in range(300):
                try:
                    async with http.get(f"{api}/health") as answer:
                        assert answer.status == 200
                    break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)
        yield process, api
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(("command", "seconds"), [("serve", 25), ("work", 10)])
async def test_a_stop_ends_in_time_while_the_database_is_silent(
    postgres_url: str, tmp_path: Path, command: str, seconds: float
) -> None:
    relay = Relay.to_postgres(postgres_url)
    await relay.start()
    log = tmp_path / "service.log"
    async with served(relay.url(postgres_url), "http://127.0.0.1:9", log, command) as (process, api):
        async with asyncio.timeout(60):
            while relay.made < 3:
                await asyncio.sleep(0.1)
        relay.silence(new=True)
        await asyncio.sleep(2)  # steps and checks are under way
        async with aiohttp.ClientSession() as http:
            reads = [asyncio.create_task(http.get(f"{api}/api/v1/onramp/sessions/ons_{number}")) for number in range(3)]
            await asyncio.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            async with asyncio.timeout(60):
                assert await process.wait() == 0, log.read_text()
            assert time.monotonic() - started < seconds, log.read_text()
            await asyncio.gather(*reads, return_exceptions=True)
    await relay.stop()


async def test_a_create_under_way_is_answered_and_streams_end(sqlite_url: str, tmp_path: Path) -> None:
    sandbox_port = free_port()
    stripe = f"http://127.0.0.1:{sandbox_port}"
    app = make_sandbox(SandboxConfig("sk_test_x", "pk_test_x", None, ("whsec_x",), stripe))
    runner, _ = await start_app(app, "127.0.0.1", sandbox_port)
    log = tmp_path / "service.log"
    async with served(sqlite_url, stripe, log) as (process, api), aiohttp.ClientSession() as http:

        async def create() -> tuple[int, dict[str, Any]]:
            async with http.post(f"{api}/api/v1/onramp/sessions", json=BODY) as answer:
                return answer.status, await answer.json()

        _, made = await create()
        async with http.get(f"{api}/api/v1/onramp/sessions/{made['id']}/events") as stream:
            await stream.content.readuntil(b"\n\n")
            app[SANDBOX].faults.waiting.append(Fault(kind="slow", method="POST", seconds=1.5))
            slow = asyncio.create_task(create())
            await asyncio.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)
            assert (await slow)[0] == 201, log.read_text()
            async with asyncio.timeout(60):
                await stream.content.read()
        async with asyncio.timeout(60):
            assert await process.wait() == 0, log.read_text()
    assert len(app[SANDBOX].store.sessions) == 2
    assert "Traceback" not in log.read_text()
    await runner.cleanup()
