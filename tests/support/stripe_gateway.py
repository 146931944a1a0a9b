"""The gateway with the official client, and the real sandbox behind it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from onramp.bootstrap.server import start_app
from onramp.dev.chain.anvil import free_port
from onramp.dev.stripe.app import SANDBOX, Sandbox, SandboxConfig, make_sandbox
from onramp.dev.stripe.faults import Fault
from onramp.stripe.gateway import OnrampGateway, make_gateway
from onramp.stripe.port import CreateSessionParams
from tests.support.clocks import OffsetClock
from tests.support.service import SETTLEMENT

COMMAND = CreateSessionParams(
    session_id="ons_1",
    wallet_address=SETTLEMENT,
    source_amount="99.50",
    source_currency="usd",
    destination_currency="usdc",
    destination_network="ethereum",
    metadata={"onramp_session_id": "ons_1"},
)


class Stepping(OffsetClock):
    """A clock whose waits take no time and are recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.elapsed += seconds


class Wire:
    """The gateway, the sandbox behind it, and the clock between them."""

    def __init__(self, gateway: OnrampGateway, sandbox: Sandbox, clock: Stepping) -> None:
        self.gateway, self.sandbox, self.clock = gateway, sandbox, clock

    def fault(self, kind: str, **values: Any) -> None:
        self.sandbox.faults.waiting.append(Fault(kind=kind, **values))

    async def create(self, key: str = "ons_1-0") -> str:
        return (await self.gateway.create_session(COMMAND, idempotency_key=key)).id

    @property
    def creates(self) -> int:
        return sum(count for name, count in self.sandbox.requests.items() if name.startswith("POST"))


@asynccontextmanager
async def wired() -> AsyncIterator[Wire]:
    """Yield a gateway with its own sandbox, until the block ends."""
    port, clock = free_port(), Stepping()
    base = f"http://127.0.0.1:{port}"
    app = make_sandbox(SandboxConfig("sk_test_gate", "pk_test_gate", None, ("whsec_x",), base))
    runner, _ = await start_app(app, "127.0.0.1", port)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        gateway = make_gateway(
            secret_key="sk_test_gate",
            api_base=base,
            stripe_version=None,
            http=http,
            clock=clock,
            registry=CollectorRegistry(),
        )
        yield Wire(gateway, app[SANDBOX], clock)
    await runner.cleanup()
