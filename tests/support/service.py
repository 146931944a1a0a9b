"""The API on real HTTP, in this process, against the real Stripe sandbox; its nodes do not answer, so no chain is needed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import sqlalchemy as sa
from pydantic import SecretStr

from kit.db.database import Database, connect
from onramp.bootstrap.app import make_app
from onramp.bootstrap.container import Container, open_container
from onramp.bootstrap.server import start_app
from onramp.bootstrap.startup import prepare
from onramp.bootstrap.workers import make_workers
from onramp.config.loader import load
from onramp.dev.chain.anvil import free_port
from onramp.dev.stripe.app import SANDBOX, Sandbox, SandboxConfig, make_sandbox
from onramp.sessions.table import sessions
from tests.support.clocks import OffsetClock
from tests.support.declared_problems import DeclaredProblems
from treasury import balances
from treasury.core.hot_wallets import HotWallet

HOT_WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
SETTLEMENT = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
SECRETS = ("whsec_first", "whsec_second")


@dataclass(slots=True)
class Service:
    """A running service, and what a test needs to ask and check it."""

    api: str
    stripe: str
    http: aiohttp.ClientSession
    sandbox: Sandbox
    database: Database

    async def create(self, key: str | None = None, **changes: Any) -> tuple[int, dict[str, Any]]:
        body = {
            "walletAddress": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955",
            "sourceAmount": "100",
            "sourceCurrency": "usd",
        } | changes
        headers = {"Idempotency-Key": key} if key is not None else {}
        async with self.http.post(f"{self.api}/api/v1/onramp/sessions", json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def stored(self) -> int:
        async with self.database.read() as conn:
            return int((await conn.execute(sa.select(sa.func.count()).select_from(sessions))).scalar_one())

    async def fault(self, kind: str, count: int = 1, path: str = "/v1/crypto/onramp_sessions") -> None:
        async with self.http.post(
            f"{self.stripe}/sandbox/faults", json={"kind": kind, "count": count, "path": path}
        ) as answer:
            assert answer.status == 200


@asynccontextmanager
async def replica(
    url: str, service: Service, clock: OffsetClock, workers: Sequence[str] = ("inbox", "reconcile"), **overrides: Any
) -> AsyncIterator[Container]:
    """Run the workers of one more process on the same database."""
    settings = load(
        **{
            "DATABASE_URL": SecretStr(url),
            "STRIPE_SECRET_KEY": SecretStr("sk_test_api"),
            "STRIPE_API_BASE": service.stripe,
            "MEZO_RPC_URLS": SecretStr("a=http://127.0.0.1:9"),
            "CHAIN_AGREEMENT": 1,
            "SETTLEMENT_ADDRESS": SETTLEMENT,
            "HOT_WALLET_ADDRESS": HOT_WALLET,
            **overrides,
        }
    )
    async with open_container(settings, clock) as container:
        await prepare(container)
        runner = make_workers(container, workers)
        runner.start()
        try:
            yield container
        finally:
            await runner.stop()


Start = Callable[..., Awaitable[Service]]


async def start_service(
    stack: AsyncExitStack, url: str, *, stock: int, sandbox: dict[str, Any] | None, **overrides: Any
) -> Service:
    """Start the API and the Stripe sandbox, both stopped by `stack`; `stock` is the hot wallet's MUSD, in base units."""
    port, sandbox_port = free_port(), free_port()
    api, stripe = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    config = SandboxConfig(
        **{
            "secret_key": "sk_test_api", "publishable_key": "pk_test_api", "webhook_url": None, "webhook_secrets": SECRETS,
            "base_url": stripe, **(sandbox or {}),
        }
    )  # fmt: skip
    app = make_sandbox(config)
    runner, _ = await start_app(app, "127.0.0.1", sandbox_port)
    stack.push_async_callback(runner.cleanup)
    database = connect(url)
    stack.push_async_callback(database.close)
    async with database.write() as conn:
        await balances.refresh(
            conn, HotWallet(31611, HOT_WALLET), "MUSD", amount=stock, block_number=1, now=datetime.now(UTC)
        )
    settings = load(
        **{
            "PORT": port, "DATABASE_URL": SecretStr(url), "STRIPE_SECRET_KEY": SecretStr("sk_test_api"),
            "STRIPE_PUBLISHABLE_KEY": "pk_test_api", "STRIPE_WEBHOOK_SECRETS": SecretStr(",".join(SECRETS)),
            "STRIPE_API_BASE": stripe, "MEZO_RPC_URLS": SecretStr("a=http://127.0.0.1:9,b=http://127.0.0.1:19"),
            "SETTLEMENT_ADDRESS": SETTLEMENT, "HOT_WALLET_ADDRESS": HOT_WALLET,
            "RATE_LIMIT_CREATE": "", "RATE_LIMIT_READ": "", "RATE_LIMIT_AUTH": "", **overrides,
        }
    )  # fmt: skip
    api_app = make_app(settings, workers=())
    problems = DeclaredProblems(api_app)
    stack.callback(problems.check)
    runner, _ = await start_app(api_app, "127.0.0.1", port, second_port=settings.CONSOLE_PORT)
    stack.push_async_callback(runner.cleanup)
    http = await stack.enter_async_context(aiohttp.ClientSession())
    return Service(api, stripe, http, app[SANDBOX], database)
