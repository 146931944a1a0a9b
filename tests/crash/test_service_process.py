"""Kill a real process before each commit of a purchase: the buyer is paid once, from one Stripe session."""

import asyncio
import itertools
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chain.abi.erc20 import TRANSFER_TOPIC
from onramp.bootstrap.server import start_app
from onramp.dev.chain.anvil import free_port
from onramp.dev.chain.devchain import DevChain
from onramp.dev.local.wallet import DevWallet, dev_wallet
from onramp.dev.run import SETTLEMENT
from onramp.dev.stripe.app import SANDBOX, SandboxConfig, make_sandbox
from tests.support.command_line import ForkedProcess
from tests.support.paths import ROOT

pytestmark = pytest.mark.starts_first

PROVE = bool(os.environ.get("PROVE"))
STEP = 1 if PROVE else 5
"""`make test` kills the process before every fifth commit, `make prove` before each."""
DEATHS = 18
"""At fewer the campaign would have stopped looking at something."""
AT_ONCE = 3


class Case:
    """One purchase through one crash."""

    def __init__(self, chain: DevChain, home: Path, database_url: str) -> None:
        self.chain = chain
        self.home = home
        self.database_url = database_url
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}"
        self.buyer = "0x" + secrets.token_hex(20)
        self.key = secrets.token_hex(16)
        home.mkdir(parents=True, exist_ok=True)
        self.wallet: DevWallet = dev_wallet(home)
        self.config = SandboxConfig(
            secret_key="sk_test_" + secrets.token_hex(8),
            publishable_key="pk_test_x",
            webhook_url=f"{self.api}/api/v1/webhooks/stripe",
            webhook_secrets=("whsec_" + secrets.token_hex(8),),
            base_url="",
        )
        self.sandbox_port = free_port()

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "LOG_LEVEL": "warning", "LOG_FORMAT": "json", "PORT": str(self.port),
            "DATABASE_URL": self.database_url, "STRIPE_SECRET_KEY": self.config.secret_key, "STRIPE_PUBLISHABLE_KEY": "pk_test_x",
            "STRIPE_WEBHOOK_SECRETS": self.config.webhook_secrets[0], "STRIPE_API_BASE": f"http://127.0.0.1:{self.sandbox_port}",
            "MEZO_RPC_URLS": ",".join(self.chain.rpc_urls), "SETTLEMENT_ADDRESS": SETTLEMENT, "HOT_WALLET_ADDRESS": self.wallet.address,
            "HOT_WALLET_KEYSTORE": str(self.wallet.keystore), "HOT_WALLET_PASSWORD": self.wallet.password, "RATE_LIMIT_CREATE": "",
        }  # fmt: skip

    @asynccontextmanager
    async def process(self, die_at: int) -> AsyncIterator[ForkedProcess]:
        log = self.home / "service.log"
        process = ForkedProcess(
            "tests.crash.service", [str(die_at)], self.environment(), stdout=log, stderr=log, cwd=ROOT
        )
        try:
            yield process
        finally:
            process.terminate()
            await process.ended()

    async def run(self, die_at: int, minting: asyncio.Lock) -> bool:
        """Return whether the process really died on the way."""
        async with minting:
            await self.chain.mint(self.wallet.address, 1_000 * 10**18)
            await self.chain.fund_gas(self.wallet.address, 10**18)
        async with AsyncExitStack() as stack:
            app = make_sandbox(self.config)
            runner, _ = await start_app(app, "127.0.0.1", self.sandbox_port)
            stack.push_async_callback(runner.cleanup)
            http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)))
            buying = asyncio.create_task(self.buy(http, app[SANDBOX]))
            try:
                async with self.process(die_at) as process:
                    dying = asyncio.create_task(process.ended())
                    await asyncio.wait({dying, buying}, return_when=asyncio.FIRST_COMPLETED, timeout=60)
                    died = process.returncode is not None
                    dying.cancel()
                if not died:
                    assert buying.done(), self.lines("the purchase neither completed nor did the process die")
                else:
                    async with self.process(0):
                        await asyncio.wait_for(asyncio.shield(buying), 90)
                await buying
            finally:
                buying.cancel()
                await asyncio.gather(buying, return_exceptions=True)
            assert len(app[SANDBOX].store.sessions) == 1, self.lines("one purchase, one session at Stripe")
        assert await self.paid() == 1, self.lines("exactly one transfer")
        assert await self.chain.balance(self.buyer) == 99_500_000 * 10**12
        return died

    async def buy(self, http: aiohttp.ClientSession, sandbox: Any) -> None:
        """Buy as a browser that retries with the same key; the card payment continues while the service is down."""
        body = {"walletAddress": self.buyer, "sourceAmount": "99.50", "sourceCurrency": "usd"}
        made: dict[str, Any] | None = None
        while made is None:
            await asyncio.sleep(0.2)
            try:
                async with http.post(
                    f"{self.api}/api/v1/onramp/sessions", json=body, headers={"Idempotency-Key": self.key}
                ) as answer:
                    if answer.status == 201:
                        made = await answer.json()
            except aiohttp.ClientError:
                continue
        sandbox.walk(sandbox.store.get(made["payment"]["stripeSessionId"]), "fulfillment_complete", {})
        status = ""
        while status != "completed":
            await asyncio.sleep(0.3)
            try:
                async with http.get(f"{self.api}/api/v1/onramp/sessions/{made['id']}") as answer:
                    status = (await answer.json())["status"] if answer.status == 200 else ""
            except aiohttp.ClientError:
                continue

    async def paid(self) -> int:
        query = {
            "address": self.chain.deployment.musd,
            "fromBlock": "0x0",
            "toBlock": "latest",
            "topics": [TRANSFER_TOPIC, None, "0x" + "0" * 24 + self.buyer[2:]],
        }
        return len(await self.chain.rpc("eth_getLogs", query))

    def lines(self, what: str) -> str:
        return f"{what}\n{(self.home / 'service.log').read_text()[-3000:]}"


async def campaign(chain: DevChain, tmp_path: Path, url_of: Any) -> None:
    """Crash before the first, second, third commit and so on, until a purchase completes before its next crash."""
    minting = asyncio.Lock()  # the node allocates the nonces of its own accounts one at a time
    numbers = itertools.count(1, STEP)
    deaths = 0

    async def in_turn() -> None:
        nonlocal deaths
        for number in numbers:
            if not await Case(chain, tmp_path / str(number), url_of(number)).run(number, minting):
                return
            deaths += 1

    await asyncio.gather(*(in_turn() for _ in range(AT_ONCE)))
    assert deaths * STEP >= DEATHS


async def test_a_process_killed_at_any_commit_still_pays_once(
    chain: DevChain, tmp_path: Path, sqlite_template: Path
) -> None:
    def url_of(number: int) -> str:
        folder = tmp_path / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "onramp.db").write_bytes(sqlite_template.read_bytes())
        return f"sqlite+aiosqlite:///{folder}/onramp.db"

    await campaign(chain, tmp_path, url_of)


@pytest.mark.prove
async def test_the_same_on_postgres(chain: DevChain, tmp_path: Path, postgres_databases: Any) -> None:
    await campaign(chain, tmp_path, lambda _number: postgres_databases())
