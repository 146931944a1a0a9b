"""The one place where real things are chosen and joined."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry

from chain.deployments import deployment
from chain.metrics import PrometheusMetrics
from chain.nodes import parse_ws
from chain.pace import Pace
from chain.pool import Pool
from chain.wakeups import WakeUps
from chain.watch import ChainWatch
from kit.audit.worker import Sealer, SealMetrics
from kit.clock import Clock, SystemClock
from kit.database import Database, connect
from kit.group import Gather
from kit.http.middleware import Furniture, HttpMetrics
from kit.http.routes import GUARD, LIMITER, Route, add_routes
from kit.ids import RandomIds
from kit.logs import get_logger
from kit.pool_metrics import PoolMetrics
from kit.worker import Runner, Worker, WorkerMetrics
from onramp import checks, governing, migrations, operating
from onramp.api_keys import routes as key_routes
from onramp.api_keys.keeper import Keeper
from onramp.audit import routes as audit_routes
from onramp.checkout import routes as checkout_routes
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
from onramp.screening.listing import ListError, Screening, ScreeningMetrics
from onramp.screening.oracle import Oracle
from onramp.services import SERVICES, Services
from onramp.sessions import history
from onramp.sessions import routes as session_routes
from onramp.sessions import service as session_service
from onramp.sessions.create import Creator
from onramp.sessions.live import Live
from onramp.sessions.model import Session
from onramp.sessions.proof import StripePaymentProof
from onramp.sessions.reconcile import ReconcileWorker
from onramp.sessions.refresh import Refresher
from onramp.sessions.rules import SessionRules
from onramp.settings import MAINNET, Settings, networks, split
from onramp.stripe.gateway import make_gateway
from onramp.stripe.port import StripeGateway
from onramp.treasury_api import book_orders, pausing, payout_orders, policy_orders, refills, sweep_orders
from onramp.treasury_api import ledger as ledger_routes
from onramp.treasury_api import routes as treasury_routes
from onramp.webhooks import routes as webhook_routes
from onramp.webhooks.intake import BODY_LIMIT, Intake, WebhookMetrics
from onramp.webhooks.worker import InboxWorker
from treasury.cold.service import PoolColdWallet
from treasury.metrics import PrometheusTreasuryMetrics
from treasury.onchain import PoolWalletChain
from treasury.pause.service import StoredGate
from treasury.policy.reading import PolicyError
from treasury.policy.rules import ActivePolicy
from treasury.rotation import left_behind
from treasury.sender import Sender, SenderConfig
from treasury.signers.intent import SigningRules
from treasury.signers.protocol import Signer
from treasury.sweeps.ordering import Orders

log = get_logger(__name__)
WORKERS = ("inbox", "reconcile", "deliveries", "treasury", "audit", "janitor")
MAX_FEE_WEI = 50 * 10**9


class StartError(Exception):
    """The service cannot start as it is set up; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Core:
    """What the API and the workers share."""

    settings: Settings
    rules: SessionRules
    database: Database
    http: aiohttp.ClientSession
    pool: Pool
    pace: Pace
    watch: ChainWatch
    stripe: StripeGateway
    clock: Clock
    ids: RandomIds
    registry: CollectorRegistry
    creator: Creator
    refresher: Refresher
    screening: Screening
    signer: Signer | None
    cold: PoolColdWallet | None


def session_rules(settings: Settings) -> SessionRules:
    """The rules of a session, out of the settings."""
    low, high = settings.minor_limits
    day, month = settings.wallet_limits
    token = settings.MUSD_TOKEN_ADDRESS or deployment(settings.CHAIN_ID).musd
    return SessionRules(
        mode=settings.DELIVERY_MODE,
        chain_id=settings.CHAIN_ID,
        token=token,
        hot_wallet=settings.HOT_WALLET_ADDRESS if settings.DELIVERY_MODE == "payout" else None,
        settlement_address=settings.SETTLEMENT_ADDRESS or None,
        destination_currency=settings.STRIPE_DESTINATION_CURRENCY,
        destination_network=settings.STRIPE_DESTINATION_NETWORK,
        fee_bps=settings.PAYOUT_FEE_BPS,
        min_minor=low,
        max_minor=high,
        ttl=timedelta(minutes=settings.SESSION_TTL_MINUTES),
        overdue_after=timedelta(minutes=settings.DELIVERY_OVERDUE_MINUTES),
        observe_tolerance_bps=settings.OBSERVE_TOLERANCE_BPS,
        require_livemode=settings.CHAIN_ID == MAINNET,
        wallet_day_minor=day,
        wallet_month_minor=month,
    )


def make_signer(settings: Settings, rules: SessionRules) -> Signer | None:
    """The hot wallet's signer, imported only when chosen; None where this process has no wallet."""
    if rules.hot_wallet is None:
        return None
    limits = SigningRules(
        chain_id=rules.chain_id,
        wallet=rules.hot_wallet,
        token=rules.token,
        max_fee=MAX_FEE_WEI,
        cold=settings.COLD_SAFE_ADDRESS or None,
    )
    match settings.HOT_WALLET_SIGNER:
        case "aws-kms":
            from treasury.signers.aws import AwsKms
            from treasury.signers.remote import RemoteSigner

            return RemoteSigner(AwsKms(settings.AWS_KMS_KEY_ID), limits) if settings.AWS_KMS_KEY_ID else None
        case "gcp-kms":
            from treasury.signers.gcp import GcpKms
            from treasury.signers.remote import RemoteSigner

            if not settings.GCP_KMS_KEY_VERSION:
                return None
            keys = GcpKms(
                settings.GCP_KMS_KEY_VERSION,
                endpoint=settings.GCP_KMS_ENDPOINT,
                require_hsm=settings.is_production,
            )
            return RemoteSigner(keys, limits)
        case "local":
            if settings.HOT_WALLET_KEYSTORE is None or settings.HOT_WALLET_PASSWORD is None:
                return None
            from treasury.signers.local import LocalSigner

            return LocalSigner(settings.HOT_WALLET_KEYSTORE, settings.HOT_WALLET_PASSWORD.get_secret_value(), limits)


def make_cold(settings: Settings, rules: SessionRules, pool: Pool) -> PoolColdWallet | None:
    """The cold wallet, if one is pinned. The hot wallet must not be among its owners."""
    pin = settings.cold_pin(settings.CHAIN_ID)
    return None if pin is None else PoolColdWallet(pool, pin, strangers=[rules.hot_wallet] if rules.hot_wallet else [])


@asynccontextmanager
async def open_core(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Core]:
    """Open everything that the service shares, and close it in the opposite order."""
    clock = clock or SystemClock()
    ids = RandomIds()
    registry = CollectorRegistry()
    rules = session_rules(settings)
    database = connect(
        settings.DATABASE_URL.get_secret_value(), replica_url=settings.DATABASE_REPLICA_URL.get_secret_value() or None
    )
    PoolMetrics(database, registry)
    http = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=200, limit_per_host=64, ttl_dns_cache=60),
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    if problem := settings.agreement_problem():
        log.warning("chain.agreement", problem=problem)
    chain_metrics = PrometheusMetrics(registry)
    pool = Pool(
        settings.nodes(),
        chain_id=settings.CHAIN_ID,
        agreement=settings.CHAIN_AGREEMENT,
        session=http,
        clock=clock,
        metrics=chain_metrics,
        plan=settings.plan,
    )
    stripe = make_gateway(
        secret_key=settings.STRIPE_SECRET_KEY.get_secret_value(),
        api_base=settings.STRIPE_API_BASE,
        stripe_version=settings.STRIPE_VERSION or None,
        http=http,
        clock=clock,
        registry=registry,
    )
    oracle = Oracle(pool, settings.SANCTIONS_ORACLE, clock) if settings.SANCTIONS_ORACLE else None
    screening = Screening(settings.SANCTIONS_LIST, clock, ScreeningMetrics(registry), oracle)
    signer = make_signer(settings, rules)
    try:
        yield Core(
            settings=settings,
            rules=rules,
            database=database,
            http=http,
            pool=pool,
            pace=Pace(clock),
            watch=ChainWatch(pool, database, chain_metrics, nodes_file=settings.CHAIN_NODES_FILE),
            stripe=stripe,
            clock=clock,
            ids=ids,
            registry=registry,
            creator=Creator(database, stripe, rules, clock, ids, screening, settings.ring),
            refresher=Refresher(database, stripe, rules, clock, ids),
            screening=screening,
            signer=signer,
            cold=make_cold(settings, rules, pool),
        )
    finally:
        if signer is not None:
            await signer.close()
        await pool.close()
        await http.close()
        await database.close()


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
            await _schema(core)
            await govern(core)
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


async def govern(core: Core) -> None:
    """Read the list and propose the policy, before anything may leave. Raises StartError."""
    screen(core)
    await _nothing_left_behind(core)
    try:
        await governing.propose(core.database, core.settings, core.rules, core.clock, core.ids)
    except PolicyError as error:
        message = "The treasury policy cannot be used; nothing was started:\n" + "\n".join(error.problems)
        raise StartError(message) from error


async def _nothing_left_behind(core: Core) -> None:
    if core.rules.hot_wallet is None:
        return
    async with core.database.read() as connection:
        rows = await left_behind(connection, core.rules.hot_wallet)
    if rows:
        shown = "".join(f"\n  {row_id} of {wallet}: {status}" for row_id, wallet, status in rows[:20])
        message = (
            f"HOT_WALLET_ADDRESS is {core.rules.hot_wallet}, and {len(rows)} payouts and sweeps of another hot wallet have not ended; "
            f"nobody would follow them. Nothing was started: start with that wallet's key until they have.{shown}"
        )
        raise StartError(message)


def screen(core: Core) -> None:
    """Read SANCTIONS_LIST; production does not start without the list that it names. Raises StartError."""
    if not core.settings.SANCTIONS_LIST:
        if not core.settings.SANCTIONS_ORACLE:
            log.warning("screening.off", detail="SANCTIONS_LIST is not set: nobody is screened")
        return
    try:
        count = core.screening.load()
    except ListError as error:
        if core.settings.is_production:
            message = f"SANCTIONS_LIST: {error}. Nothing was started: put the file in place, or take the variable away."
            raise StartError(message) from error
        core.screening.metrics.unreadable.set(1)
        log.warning("screening.list_unreadable", reason=str(error), detail="nobody is screened until it can be read")
        return
    log.info("screening.list_read", addresses=count)


async def _schema(core: Core) -> None:
    """In development the database is brought up to date; in production that is a step of the deployment."""
    if core.settings.is_production:
        if await migrations.current(core.database) != migrations.newest():
            message = "The database is behind this version. Run `onramp migrate` first; nothing was changed."
            raise StartError(message)
        return
    await migrations.upgrade(core.database)
