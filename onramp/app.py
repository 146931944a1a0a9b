"""The one place where things are joined: what `onramp.core` chose becomes workers, and an API with its route table."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import timedelta

from aiohttp import web

from chain.deployments import deployment
from chain.nodes import parse_ws
from chain.wakeups import WakeUps
from kit.audit.worker import Sealer, SealMetrics
from kit.group import Gather
from kit.http.middleware import Furniture, HttpMetrics
from kit.http.routes import GUARD, LIMITER, Route, add_routes
from kit.worker import Runner, Worker, WorkerMetrics
from onramp import checks, governing, operating
from onramp.api_keys import routes as key_routes
from onramp.api_keys.keeper import Keeper
from onramp.audit import routes as audit_routes
from onramp.checkout import routes as checkout_routes
from onramp.core import Core, open_core
from onramp.deliveries.worker import DeliveriesWorker, DeliveryMetrics
from onramp.guard import Guard
from onramp.health import Check, Health
from onramp.invitations import routes as invitation_routes
from onramp.janitor import Janitor, StateMetrics
from onramp.limits.counter import MemoryCounts, SharedCounts
from onramp.limits.limiter import Limiter
from onramp.limits.policy import Kind, Rate, parse_rate
from onramp.login import routes as login_routes
from onramp.login.tokens import Tokens
from onramp.quotes import routes as quote_routes
from onramp.quotes.service import Quotes
from onramp.services import SERVICES, Services
from onramp.sessions import history
from onramp.sessions import routes as session_routes
from onramp.sessions import service as session_service
from onramp.sessions.live import Live
from onramp.sessions.model import Session
from onramp.sessions.proof import StripePaymentProof
from onramp.sessions.reconcile import ReconcileWorker
from onramp.settings import Settings, networks, split
from onramp.starting import prepare
from onramp.treasury_api import book_orders, pausing, payout_orders, policy_orders, refills, sweep_orders
from onramp.treasury_api import ledger as ledger_routes
from onramp.treasury_api import routes as treasury_routes
from onramp.webhooks import routes as webhook_routes
from onramp.webhooks.intake import BODY_LIMIT, Intake, WebhookMetrics
from onramp.webhooks.worker import InboxWorker
from treasury.metrics import PrometheusTreasuryMetrics
from treasury.onchain import PoolWalletChain
from treasury.pause.service import StoredGate
from treasury.policy.rules import ActivePolicy
from treasury.sender import Sender, SenderConfig
from treasury.sweeps.ordering import Orders

WORKERS = ("inbox", "reconcile", "deliveries", "treasury", "audit", "janitor")


def make_limiter(core: Core) -> Limiter:
    """Who may ask how often; counted in Redis where there is one."""
    settings, url = core.settings, core.settings.REDIS_URL.get_secret_value()
    counts = SharedCounts(url, core.clock, core.registry) if url else MemoryCounts()
    rates: dict[Kind, Rate | None] = {
        "create": parse_rate(settings.RATE_LIMIT_CREATE),
        "read": parse_rate(settings.RATE_LIMIT_READ),
        "auth": parse_rate(settings.RATE_LIMIT_AUTH),
    }
    return Limiter(counts, rates, networks(settings.TRUSTED_PROXIES), core.clock, core.registry)


def make_deliveries(core: Core, changed: Callable[[], None]) -> DeliveriesWorker:
    """What reads the chain: a worker, and at once for a wallet that asks."""
    wallet = [core.rules.hot_wallet] if core.rules.hot_wallet else []
    senders = frozenset(core.settings.delivery_senders if core.rules.mode == "observe" else wallet)
    return DeliveriesWorker(
        core.database,
        core.pool,
        core.rules,
        senders,
        core.clock,
        DeliveryMetrics(core.registry),
        changed,
        core.pace,
    )


def make_workers(
    core: Core,
    only: Collection[str] = WORKERS,
    *,
    deliveries: DeliveriesWorker | None = None,
    changed: Callable[[], None] = lambda: None,
    webhook_metrics: WebhookMetrics | None = None,
    checkpoint: Callable[[str], None] = lambda _: None,
) -> Runner:
    """The workers asked for. `changed` is told when a session moved; `checkpoint` when the sender passed a step."""
    metrics = WorkerMetrics(core.registry)
    # Unique among all processes that share the database: leases name it.
    owner = f"{socket.gethostname()[:24]}-{os.getpid()}-{core.ids.new('')[:8]}"
    runner: Runner

    def paid() -> None:
        runner.wake("treasury")
        runner.wake("deliveries")
        changed()

    made: dict[str, Worker] = {}
    if "inbox" in only:
        made["inbox"] = InboxWorker(
            core.database,
            core.refresher,
            core.clock,
            owner,
            webhook_metrics or WebhookMetrics(core.registry),
            metrics,
            paid,
        )
    if "reconcile" in only:
        made["reconcile"] = ReconcileWorker(
            core.database, core.stripe, core.creator, core.refresher, core.clock, owner, metrics, paid
        )
    if "deliveries" in only:
        made["deliveries"] = deliveries or make_deliveries(core, changed)
    if "treasury" in only and core.signer is not None and core.rules.hot_wallet is not None:
        policy = governing.active_policy(core.settings, core.rules, core.rules.hot_wallet, core.screening)
        made["treasury"] = Sender(
            config=SenderConfig(
                chain_id=core.rules.chain_id,
                wallet=core.rules.hot_wallet,
                token=core.rules.token,
                max_in_flight=core.settings.HOT_WALLET_PIPELINE,
            ),
            database=core.database,
            chain=PoolWalletChain(core.pool, wallet=core.rules.hot_wallet, token=core.rules.token),
            signer=core.signer,
            proof=StripePaymentProof(core.database, core.stripe, core.rules),
            clock=core.clock,
            ids=core.ids,
            metrics=PrometheusTreasuryMetrics(core.registry),
            checkpoint=checkpoint,
            cold=core.cold,
            gate=StoredGate(),
            rules=policy,
            orders=orders_of(core, policy),
        )
    if "audit" in only:
        made["audit"] = Sealer(core.database, core.settings.ring, core.clock, SealMetrics(core.registry))
    if "janitor" in only:
        made["janitor"] = Janitor(
            core.database,
            core.clock,
            StateMetrics(core.registry),
            core.screening,
            metrics,
            timedelta(days=core.settings.PRIVACY_RETENTION_DAYS),
        )
    runner = Runner(made.values(), core.clock, metrics)
    return runner


def orders_of(core: Core, policy: ActivePolicy) -> Orders | None:
    """Where sweeps come from; None without a cold wallet to sweep to."""
    if core.cold is None or core.rules.hot_wallet is None:
        return None
    return Orders(policy, core.cold, core.rules.hot_wallet, core.ids)


@asynccontextmanager
async def beside(core: Core, runner: Runner | None) -> AsyncIterator[None]:
    """What a process that stays up keeps going beside requests and workers: the watch over the nodes, and their wake-ups."""

    def wake() -> None:
        core.pace.told()
        if runner is not None:
            runner.wake("deliveries")
            runner.wake("treasury")

    ups = WakeUps(parse_ws(core.settings.MEZO_WS_URLS.get_secret_value()), core.http, wake)
    core.watch.start()
    if runner is not None:
        ups.start()
    try:
        yield
    finally:
        await ups.stop()
        await core.watch.stop()


def routes(settings: Settings) -> list[Route]:
    """The whole route table."""
    table = [
        *session_routes.ROUTES,
        *history.ROUTES,
        *quote_routes.ROUTES,
        *login_routes.ROUTES,
        *webhook_routes.ROUTES,
        *key_routes.ROUTES,
        *invitation_routes.ROUTES,
        *audit_routes.ROUTES,
        *treasury_routes.ROUTES,
        *ledger_routes.ROUTES,
        *book_orders.ROUTES,
        *pausing.ROUTES,
        *payout_orders.ROUTES,
        *sweep_orders.ROUTES,
        *refills.ROUTES,
        *policy_orders.ROUTES,
        *operating.ROUTES,
    ]
    return table + list(checkout_routes.ROUTES) if settings.checkout_is_served else table


def _checks(core: Core, runner: Runner | None, workers: Collection[str]) -> dict[str, tuple[Check, bool]]:
    database, chain_id = core.database, core.rules.chain_id
    return {
        "database": (checks.database_check(database), True),
        "migrations": (checks.migrations_check(database), True),
        "chain": (
            checks.chain_check(core.pool, watching=runner is not None, database=database, chain_id=chain_id),
            True,
        ),
        "stripe": (checks.stripe_check(core.stripe), True),
        # Where the treasury is a process of its own, this one needs no right to sign, and does not ask for it.
        "signer": (checks.signer_check(core.signer if "treasury" in workers else None), True),
        "backlog": (checks.backlog_check(database, core.clock, runner), False),
        "pause": (checks.pause_check(database), False),
    }


def make_app(
    settings: Settings, *, workers: Collection[str] = WORKERS, checkpoint: Callable[[str], None] = lambda _: None
) -> web.Application:
    """The API, with `workers` in the same process."""
    app = web.Application(client_max_size=BODY_LIMIT)
    add_routes(app, routes(settings))

    async def run(app: web.Application) -> AsyncIterator[None]:
        async with open_core(settings) as core:
            await prepare(core)
            stopping = asyncio.Event()
            live = Live(core.database)
            webhook_metrics = WebhookMetrics(core.registry)
            tokens = Tokens(core.database, settings.jwt_secrets, settings.CHAIN_ID, core.clock)
            deliveries = make_deliveries(core, live.nudge)
            runner = (
                make_workers(
                    core,
                    workers,
                    deliveries=deliveries,
                    changed=live.nudge,
                    webhook_metrics=webhook_metrics,
                    checkpoint=checkpoint,
                )
                if workers
                else None
            )

            async def read(keys: "Collection[str]") -> dict[str, Session]:
                async with core.database.read() as connection:
                    return await session_service.get_many(connection, keys)

            wallet = core.rules.hot_wallet
            policy = None if wallet is None else governing.active_policy(settings, core.rules, wallet, core.screening)
            services = Services(
                settings=settings,
                rules=core.rules,
                database=core.database,
                pool=core.pool,
                clock=core.clock,
                ids=core.ids,
                registry=core.registry,
                creator=core.creator,
                refresher=core.refresher,
                reads=Gather(read),
                live=live,
                intake=Intake(
                    core.database,
                    settings.webhook_secrets,
                    core.clock,
                    webhook_metrics,
                    (lambda: runner.wake("inbox")) if runner is not None else (lambda: None),
                    allowed=networks(settings.STRIPE_WEBHOOK_ADDRESSES),
                    trusted=networks(settings.TRUSTED_PROXIES),
                ),
                quotes=Quotes(core.database, core.stripe, core.rules, core.clock),
                tokens=tokens,
                deliveries=deliveries,
                health=Health(_checks(core, runner, workers), core.clock),
                explorer=deployment(settings.CHAIN_ID).explorer,
                stopping=stopping,
                policy=policy,
                orders=None if policy is None else orders_of(core, policy),
            )
            app[SERVICES] = services
            keeper = Keeper(core.database, settings.ring, core.clock)
            app[GUARD] = Guard(
                keeper.resolve, tokens.resolve, check_code=keeper.check_code, refused=keeper.note_refused
            )
            limiter = make_limiter(core)
            app[LIMITER] = limiter
            furniture = Furniture(
                origins=split(settings.ALLOWED_ORIGINS),
                ids=core.ids,
                metrics=HttpMetrics(core.registry),
                https=settings.is_production,
            )
            app[FURNITURE] = furniture
            async with beside(core, runner):
                services.health.start()
                live.start()
                keeper.start()
                if runner is not None:
                    runner.start()
                yield
                stopping.set()
                if runner is not None:
                    await runner.stop()
                await keeper.stop()
                await limiter.close()
                await live.stop()
                await services.health.stop()

    @web.middleware
    async def furniture(request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
        return await app[FURNITURE].serve(request, handler)  # type: ignore[arg-type] # aiohttp's own handler type

    async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
        await app[FURNITURE].on_prepare(request, response)

    async def close_streams(_app: web.Application) -> None:
        app[SERVICES].stopping.set()

    app.middlewares.append(furniture)
    app.on_response_prepare.append(on_prepare)
    app.on_shutdown.append(close_streams)
    app.cleanup_ctx.append(run)
    return app


FURNITURE = web.AppKey("furniture", Furniture)
