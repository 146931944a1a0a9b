"""The sandbox as an aiohttp application: Stripe's API, controls for tests, and the hosted payment page."""

from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from onramp.dev.stripe.account import Sandbox
from onramp.dev.stripe.api import Api
from onramp.dev.stripe.config import SandboxConfig
from onramp.dev.stripe.controls import Controls
from onramp.dev.stripe.hosted import HostedPage

__all__ = ["SANDBOX", "Sandbox", "SandboxConfig", "make_sandbox"]

SANDBOX: Final = web.AppKey("sandbox", Sandbox)
MAX_BODY: Final = 1024 * 1024


def make_sandbox(config: SandboxConfig) -> web.Application:
    """Return the application; `app[SANDBOX]` is the Stripe account that it plays, with its sessions, faults and webhooks."""
    account = Sandbox(config)
    page = HostedPage(account)
    app = web.Application(client_max_size=MAX_BODY)
    app[SANDBOX] = account
    app.add_routes([*Api(account).routes(), *Controls(account).routes(), *page.routes()])

    async def closing(_app: web.Application) -> None:
        account.closing()

    async def close(_app: web.Application) -> AsyncIterator[None]:
        yield
        await page.close()
        await account.close()

    app.on_shutdown.append(closing)
    app.cleanup_ctx.append(close)
    return app
