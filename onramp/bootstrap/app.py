"""The API: what `onramp.bootstrap.core` chose and the workers beside it, joined with the route table."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection

from aiohttp import web

from chain.deployments import deployment
from kit.batching import DataLoader
from kit.heartbeats.writer import HeartbeatWriter
from kit.http.middleware import Furniture, HttpMetrics
from kit.http.routing import GUARD, LIMITER, ROUTE_TABLE, Route, add_routes
from kit.shutdown import within
from kit.worker import Runner
from onramp.auth.api_keys import routes as key_routes
from onramp.auth.api_keys.authenticator import ApiKeyAuthenticator
from onramp.auth.guard import Guard
from onramp.auth.invitations import routes as invitation_routes
from onramp.auth.wallets import routes as login_routes
from onramp.auth.wallets.tokens import Tokens
from onramp.bootstrap.core import Core, open_core
from onramp.bootstrap.services import SERVICES, Services
from onramp.bootstrap.startup import prepare, refuse_wrong_key
from onramp.bootstrap.workers import STOP_SECONDS, WORKERS, beside, make_deliveries, make_pulse, make_workers, orders_of
from onramp.checkout import routes as checkout_routes
from onramp.config import fields
from onramp.config.settings import Settings
from onramp.deliveries.worker import DeliveriesWorker
from onramp.limits.counter import MemoryCounts, SharedCounts
from onramp.limits.limiter import Limiter
from onramp.limits.rates import Kind, Rate, at_least, parse_rate
from onramp.ops import checks
from onramp.ops import routes as operating
from onramp.ops.health import Check, Health
from onramp.ops.liveness import Liveness
from onramp.ops.telemetry import TRACES, traced
from onramp.quotes import routes as quote_routes
from onramp.quotes.service import Quotes
from onramp.sessions import routes as session_routes
from onramp.sessions import service as sessions_service
from onramp.sessions import wallet_history
from onramp.sessions.change_feed import ChangeFeed
from onramp.sessions.model import Session
from onramp.treasury import audit as audit_routes
from onramp.treasury import ledger as ledger_routes
from onramp.treasury import overview as treasury_routes
from onramp.treasury import pause, payouts, policy_source, refills, resolutions, sweeps
from onramp.treasury import policy as policy_orders
from onramp.webhooks import routes as webhook_routes
from onramp.webhooks.intake import BODY_LIMIT, Intake, WebhookMetrics

FURNITURE = web.AppKey("furniture", Furniture)


def make_limiter(core: Core) -> Limiter:
    """Who may ask how often; counted in Redis where there is one."""
    settings, url = core.settings, core.settings.REDIS_URL.get_secret_value()
    counts = SharedCounts(url, core.clock, core.registry, settings.ring) if url else MemoryCounts()
    rates: dict[Kind, Rate | None] = {
        "create": parse_rate(settings.RATE_LIMIT_CREATE),
        "read": parse_rate(settings.RATE_LIMIT_READ),
        "auth": parse_rate(settings.RATE_LIMIT_AUTH),
    }
    total = at_least(parse_rate(settings.RATE_LIMIT_CREATE_TOTAL), rates["create"])
    return Limiter(counts, rates, fields.networks(settings.TRUSTED_PROXIES), core.clock, core.registry, total=total)


def routes(settings: Settings) -> list[Route]:
    """The whole route table."""
    table = [
        *session_routes.ROUTES,
        *wallet_history.ROUTES,
        *quote_routes.ROUTES,
        *login_routes.ROUTES,
        *webhook_routes.ROUTES,
        *key_routes.ROUTES,
        *invitation_routes.ROUTES,
        *audit_routes.ROUTES,
        *treasury_routes.ROUTES,
        *ledger_routes.ROUTES,
        *resolutions.ROUTES,
        *pause.ROUTES,
        *payouts.ROUTES,
        *sweeps.ROUTES,
        *refills.ROUTES,
        *policy_orders.ROUTES,
        *operating.ROUTES,
    ]
    return table + list(checkout_routes.ROUTES) if settings.checkout_is_served else table


def _checks(
    core: Core, runner: Runner | None, workers: Collection[str], pulse: HeartbeatWriter, intake: Intake
) -> dict[str, tuple[Check, bool]]:
    database, chain_id = core.database, core.rules.chain_id
    pays = core.rules.mode == "payout" and core.rules.hot_wallet is not None
    needed = [worker for worker in WORKERS if worker != "treasury" or pays]
    return {
        "database": (checks.database_check(database, pulse), True),
        "migrations": (checks.migrations_check(database), True),
        "chain": (
            checks.chain_check(core.pool, watching=runner is not None, database=database, chain_id=chain_id),
            True,
        ),
        "stripe": (checks.stripe_check(core.stripe), True),
        # Where the treasury is a process of its own, this one needs no right to sign, and does not ask for it.
        "signer": (checks.signer_check(core.signer if "treasury" in workers else None), True),
        "inventory": (checks.inventory_check(database, core.rules, core.clock), True),
        "workers": (Liveness(database, needed, core.clock, core.registry).check, True),
        "backlog": (checks.backlog_check(database, core.clock, runner), False),
        "deployment": (checks.deployment_check(database), False),
        "webhooks": (checks.webhooks_check(intake), False),
        "clock": (checks.clock_check(pulse), False),
        **({"replica": (checks.replica_check(database), False)} if database.has_replica else {}),
        "pause": (checks.pause_check(database), False),
    }


def _services(
    core: Core,
    runner: Runner | None,
    workers: Collection[str],
    *,
    live: ChangeFeed,
    deliveries: DeliveriesWorker,
    webhook_metrics: WebhookMetrics,
    pulse: HeartbeatWriter,
) -> Services:
    """Everything that requests are answered with."""
    settings, wallet = core.settings, core.rules.hot_wallet
    policy = None if wallet is None else policy_source.active_policy(settings, core.rules, wallet, core.screening)

    async def read(keys: Collection[str]) -> dict[str, Session]:
        async with core.database.read() as conn:
            return await sessions_service.get_many(conn, keys)

    intake = Intake(
        core.database,
        settings.webhook_secrets,
        core.clock,
        webhook_metrics,
        (lambda: runner.wake("inbox")) if runner is not None else (lambda: None),
        allowed=fields.networks(settings.STRIPE_WEBHOOK_ADDRESSES),
        trusted=fields.networks(settings.TRUSTED_PROXIES),
    )
    return Services(
        settings=settings,
        rules=core.rules,
        database=core.database,
        pool=core.pool,
        clock=core.clock,
        ids=core.ids,
        registry=core.registry,
        creator=core.creator,
        refresher=core.refresher,
        reads=DataLoader(read),
        live=live,
        intake=intake,
        quotes=Quotes(core.database, core.stripe, core.rules, core.clock),
        tokens=Tokens(core.database, settings.jwt_secrets, settings.CHAIN_ID, core.clock),
        keys=ApiKeyAuthenticator(core.database, settings.ring, core.clock),
        deliveries=deliveries,
        health=Health(_checks(core, runner, workers, pulse, intake), core.clock, cheap={"inventory"}, hidden={"pause"}),
        explorer=deployment(settings.CHAIN_ID).explorer,
        stopping=asyncio.Event(),
        policy=policy,
        orders=None if policy is None else orders_of(core, policy),
        usdc=core.usdc,
    )


def _join(app: web.Application, core: Core, services: Services, limiter: Limiter) -> None:
    """Give the application what its routes and its middleware ask for."""
    app[SERVICES] = services
    app[GUARD] = Guard(
        services.keys.resolve,
        services.tokens.resolve,
        check_code=services.keys.check_code,
        refused=services.keys.note_refused,
    )
    app[LIMITER] = limiter
    app[FURNITURE] = Furniture(
        origins=core.settings.origins,
        ids=core.ids,
        metrics=HttpMetrics(core.registry),
        https=core.settings.is_production,
    )
    app[TRACES] = core.traces


def make_app(settings: Settings, *, workers: Collection[str] = WORKERS) -> web.Application:
    """The API, with `workers` in the same process."""
    app = web.Application(client_max_size=BODY_LIMIT)
    add_routes(app, routes(settings))

    async def run(app: web.Application) -> AsyncIterator[None]:
        async with open_core(settings) as core:
            if "treasury" in workers:
                await refuse_wrong_key(core)
            await prepare(core)
            live = ChangeFeed(core.database)
            deliveries = make_deliveries(core, live.nudge)
            webhook_metrics = WebhookMetrics(core.registry)
            runner = (
                make_workers(
                    core,
                    workers,
                    deliveries=deliveries,
                    changed=live.nudge,
                    webhook_metrics=webhook_metrics,
                )
                if workers
                else None
            )
            pulse = make_pulse(core, runner, serves=True)
            services = _services(
                core, runner, workers, live=live, deliveries=deliveries, webhook_metrics=webhook_metrics, pulse=pulse
            )
            limiter = make_limiter(core)
            _join(app, core, services, limiter)
            operating.write_documents(app[ROUTE_TABLE])
            async with beside(core, runner, pulse):
                services.health.start()
                live.start()
                services.keys.start()
                if runner is not None:
                    runner.start()
                yield
                services.stopping.set()
                if runner is not None:
                    await runner.stop()
                stops = {
                    "keys": services.keys.stop(),
                    "limits": limiter.close(),
                    "events": live.stop(),
                    "health": services.health.stop(),
                }
                await asyncio.gather(*(within(STOP_SECONDS, part, stop) for part, stop in stops.items()))

    @web.middleware
    async def furniture(request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
        return await app[FURNITURE].serve(request, handler)  # type: ignore[arg-type] # aiohttp's own handler type

    async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
        await app[FURNITURE].on_prepare(request, response)

    async def close_streams(_app: web.Application) -> None:
        app[SERVICES].stopping.set()

    app.middlewares.extend([traced, furniture] if settings.OTEL_EXPORTER_OTLP_ENDPOINT else [furniture])
    app.on_response_prepare.append(on_prepare)
    app.on_shutdown.append(close_streams)
    app.cleanup_ctx.append(run)
    return app
