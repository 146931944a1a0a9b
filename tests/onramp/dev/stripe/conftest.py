"""Fixtures: a running sandbox on a free port, and a shop that receives its events."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from onramp.dev.stripe.app import SANDBOX, SandboxConfig, make_sandbox
from tests.support.stripe_sandbox import KEY, SECRET, Sandbox, Serve, Shop, Start


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    runners: list[web.AppRunner] = []

    async def started(app: web.Application) -> str:
        runner = web.AppRunner(app, access_log=None)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield started
    for runner in reversed(runners):
        await runner.cleanup()


@pytest.fixture
async def shop(serve: Serve) -> Shop:
    made = Shop()
    app = web.Application()
    app.router.add_post("/hook", made.hook)
    made.url = await serve(app) + "/hook"
    return made


@pytest.fixture
async def start(serve: Serve, shop: Shop) -> AsyncIterator[Start]:
    async with aiohttp.ClientSession() as http:

        async def started(**changes: Any) -> Sandbox:
            settings: dict[str, Any] = {
                "secret_key": KEY,
                "publishable_key": "pk_test_1",
                "webhook_url": shop.url,
                "webhook_secrets": (SECRET,),
                "base_url": "http://sandbox.test",
                "clock_scale": 1_000_000.0,
                "late_seconds": 0.3,
                "step_seconds": 0.05,
            }
            app = make_sandbox(SandboxConfig(**settings | changes))
            return Sandbox(await serve(app), app[SANDBOX], http)

        yield started


@pytest.fixture
async def sandbox(start: Start) -> Sandbox:
    return await start()
