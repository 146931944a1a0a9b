"""The API as an aiohttp application, with workers in the same process if asked for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection
from contextlib import AsyncExitStack

from aiohttp import web
from aiohttp.typedefs import Handler

from kit.http.routing import ROUTE_TABLE, Route, add_routes
from onramp.alarms import routes as alarm_routes
from onramp.auth.api_keys import routes as api_key_routes
from onramp.auth.console_sessions import routes as console_session_routes
from onramp.auth.invitations import routes as invitation_routes
from onramp.auth.oidc import person_routes as oidc_person_routes
from onramp.auth.oidc import routes as oidc_routes
from onramp.auth.passkeys import approvals as passkey_approvals
from onramp.auth.passkeys import routes as passkey_routes
from onramp.auth.wallets import routes as login_routes
from onramp.bootstrap.container import open_container
from onramp.bootstrap.dependencies import HTTP_MIDDLEWARE, fill
from onramp.bootstrap.factories import make_limiter
from onramp.bootstrap.lifecycle import stop_together_later
from onramp.bootstrap.startup import prepare, refuse_wrong_key
from onramp.bootstrap.workers import STOP_SECONDS, WORKERS, background, make_pulse, make_workers
from onramp.checkout import routes as checkout_routes
from onramp.client import routes as client_routes
from onramp.config.settings import Settings
from onramp.console import routes as console_routes
from onramp.dapp import routes as dapp_routes
from onramp.hooks import message_routes
from onramp.hooks import routes as hook_routes
from onramp.live_changes import routes as live_change_routes
from onramp.live_changes.dependencies import LIVE_CHANGES
from onramp.operator_views import routes as operator_view_routes
from onramp.ops import reference, start_page
from onramp.ops import routes as ops_routes
from onramp.ops.telemetry import traced
from onramp.quotes import routes as quote_routes
from onramp.sessions import routes as session_routes
from onramp.sessions import wallet_history
from onramp.treasury import (
    audit,
    balances,
    ledger,
    pause,
    payouts,
    policy,
    reconciliation,
    refills,
    resolutions,
    settlements,
    sweeps,
    transactions,
)
from onramp.webhooks import routes as webhook_routes
from onramp.webhooks.intake import BODY_LIMIT


def routes(settings: Settings) -> list[Route]:
    """Return the whole route table."""
    table = [
        *session_routes.routes(keyed=settings.SESSION_CREATION == "keyed"),
        *wallet_history.ROUTES,
        *dapp_routes.ROUTES,
        *client_routes.ROUTES,
        *quote_routes.ROUTES,
        *login_routes.ROUTES,
        *webhook_routes.ROUTES,
        *api_key_routes.ROUTES,
        *invitation_routes.ROUTES,
        *console_session_routes.ROUTES,
        *oidc_person_routes.ROUTES,
        *passkey_routes.ROUTES,
        *passkey_approvals.ROUTES,
        *message_routes.ROUTES,
        *hook_routes.ROUTES,
        *audit.ROUTES,
        *balances.ROUTES,
        *payouts.ROUTES,
        *sweeps.ROUTES,
        *transactions.ROUTES,
        *refills.ROUTES,
        *ledger.ROUTES,
        *reconciliation.ROUTES,
        *resolutions.ROUTES,
        *settlements.ROUTES,
        *pause.ROUTES,
        *policy.ROUTES,
        *alarm_routes.ROUTES,
        *operator_view_routes.ROUTES,
        *live_change_routes.ROUTES,
        *start_page.ROUTES,
        *ops_routes.ROUTES,
        *reference.ROUTES,
    ]
    if settings.console_is_served:
        # The login before the console's files, whose address takes any path.
        table += [*oidc_routes.ROUTES, *console_routes.ROUTES]
    return table + list(checkout_routes.ROUTES) if settings.checkout_is_served else table


def make_app(settings: Settings, *, workers: Collection[str] = WORKERS) -> web.Application:
    """Create the API, with `workers` in the same process. It opens its parts when it starts, and closes them when it is cleaned up."""
    app = web.Application(client_max_size=BODY_LIMIT)
    add_routes(app, routes(settings))
    if settings.checkout_is_served:
        checkout_routes.add_alias(app)
    if settings.console_is_served:
        console_routes.add_alias(app)
    stopping = asyncio.Event()

    async def run(app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await _start(app, settings, workers, stack, stopping)
            yield

    # Plain functions that return the coroutine: another coroutine around it would cost each request as much as a middleware.
    @web.middleware
    def http_middleware(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        return app[HTTP_MIDDLEWARE].serve(request, handler)

    def on_prepare(request: web.Request, response: web.StreamResponse) -> Awaitable[None]:
        return app[HTTP_MIDDLEWARE].on_prepare(request, response)

    async def close_streams(_app: web.Application) -> None:
        stopping.set()

    app.middlewares.extend([traced, http_middleware] if settings.OTEL_EXPORTER_OTLP_ENDPOINT else [http_middleware])
    app.on_response_prepare.append(on_prepare)
    app.on_shutdown.append(close_streams)
    app.cleanup_ctx.append(run)
    return app


async def _start(
    app: web.Application,
    settings: Settings,
    workers: Collection[str],
    stack: AsyncExitStack,
    stopping: asyncio.Event,
) -> None:
    """Start everything; `stack` stops it in the opposite order. Raises StartError."""
    container = await stack.enter_async_context(open_container(settings, role="api"))
    if "treasury" in workers:
        await refuse_wrong_key(container)
    await prepare(container)
    runner = make_workers(container, workers) if workers else None
    pulse = make_pulse(container, runner, serves=True)
    limiter = make_limiter(settings, container.clock, container.registry)
    health = fill(app, container, runner, workers, pulse=pulse, limiter=limiter, stopping=stopping)
    reference.build_documents(app[ROUTE_TABLE])
    await stack.enter_async_context(background(container, runner, pulse))
    keys, live = container.api_keys, container.live
    stops = {"keys": keys.stop, "limits": limiter.close, "events": live.stop, "health": health.stop}
    stops["live changes"] = app[LIVE_CHANGES].feed.stop
    stop_together_later(stack, STOP_SECONDS, stops)
    health.start()
    live.start()
    keys.start()
    if runner is not None:
        stack.push_async_callback(runner.stop)
        runner.start()
    stack.callback(stopping.set)
