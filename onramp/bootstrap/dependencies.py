"""Give each package of routes the parts that it uses, under the key that it declares."""

import asyncio
from collections.abc import Collection

from aiohttp import web

from chain.deployments import deployment
from kit.heartbeats.writer import HeartbeatWriter
from kit.http.middleware import HttpMetrics, HttpMiddleware
from kit.http.routing import GUARD, LIMITER, ROUTE_TABLE
from kit.worker import WorkerRunner
from onramp.alarms.dependencies import ALARM_SERVICES, AlarmServices
from onramp.auth.api_keys.dependencies import API_KEYS, ApiKeyServices
from onramp.auth.guard import Guard
from onramp.auth.invitations.dependencies import INVITATIONS, InvitationServices
from onramp.auth.wallets.dependencies import LOGIN, LoginServices
from onramp.bootstrap.console import fill_console_login, make_console_authenticator
from onramp.bootstrap.container import Container
from onramp.bootstrap.health_parts import make_health
from onramp.bootstrap.identity import NAME, PROBLEM_TYPES
from onramp.bootstrap.passkeys import fill_passkeys
from onramp.checkout.dependencies import CHECKOUT, CheckoutServices
from onramp.checkout.documents import Documents
from onramp.client import files as client_files
from onramp.client.routes import CLIENT_FILES
from onramp.config import fields
from onramp.console import files as console_files
from onramp.console.dependencies import CONSOLE, ConsoleServices
from onramp.dapp.public_config import PublicConfig
from onramp.dapp.routes import DAPP
from onramp.hooks.dependencies import HOOKS, HookServices
from onramp.limits.limiter import Limiter
from onramp.live_changes.dependencies import LIVE_CHANGES, LiveChangeServices
from onramp.live_changes.feed import LiveChanges
from onramp.operator_views.dependencies import OPERATOR_VIEWS, OperatorViewServices
from onramp.ops.dependencies import OPS, OpsServices
from onramp.ops.health import Health
from onramp.ops.telemetry import TRACES
from onramp.quotes.routes import QUOTES
from onramp.sessions.dependencies import SESSIONS, SessionServices
from onramp.treasury.audit_verification import AuditVerifier
from onramp.treasury.dependencies import TREASURY, TreasuryServices
from onramp.webhooks.intake import Intake
from onramp.webhooks.routes import INTAKE
from treasury.core.hot_wallets import HotWallet

HTTP_MIDDLEWARE = web.AppKey("furniture", HttpMiddleware)


def fill(
    app: web.Application,
    container: Container,
    runner: WorkerRunner | None,
    workers: Collection[str],
    *,
    pulse: HeartbeatWriter,
    limiter: Limiter,
    stopping: asyncio.Event,
) -> Health:
    """Fill every key of `app`, and return the health monitor, which is not started yet. `runner` and `workers` are those of this process."""
    intake = make_intake(container, runner)
    health = make_health(container, runner, workers, pulse, intake)
    app[OPS] = OpsServices(container.settings, container.registry, health)
    app[ALARM_SERVICES] = AlarmServices(container.database, container.clock)
    app[QUOTES] = container.quotes
    app[INTAKE] = intake
    app[DAPP] = PublicConfig(container.settings, container.rules.token, container.database, container.clock)
    served = client_files.load()
    documents = None if served is None else Documents(served, container.settings, container.rules.token)
    app[CLIENT_FILES] = served
    app[CHECKOUT] = CheckoutServices(container.settings, served, documents)
    if container.settings.console_is_served:
        app[CONSOLE] = ConsoleServices(container.settings, console_files.load(served))
    _fill_middleware(app, container, limiter)
    _fill_auth(app, container)
    _fill_sessions(app, container, health, stopping)
    _fill_treasury(app, container)
    _fill_operator_views(app, container, health)
    feed = LiveChanges(container.database, container.clock, container.process_name)
    app[LIVE_CHANGES] = LiveChangeServices(feed, stopping)
    fill_passkeys(app, container)
    app[HOOKS] = HookServices(
        database=container.database,
        clock=container.clock,
        ids=container.ids,
        ring=container.settings.ring,
        client=container.outbound,
        planned=(lambda: runner.wake("webhooks")) if runner is not None else (lambda: None),
    )
    return health


def make_intake(container: Container, runner: WorkerRunner | None) -> Intake:
    """Create the intake of Stripe's events; it wakes the inbox worker of this process, if there is one."""
    settings = container.settings
    return Intake(
        container.database,
        settings.webhook_secrets,
        container.clock,
        container.webhook_metrics,
        (lambda: runner.wake("inbox")) if runner is not None else (lambda: None),
        allowed=fields.networks(settings.STRIPE_WEBHOOK_ADDRESSES),
        trusted=fields.networks(settings.TRUSTED_PROXIES),
        alarms=container.alarms,
    )


def _fill_middleware(app: web.Application, container: Container, limiter: Limiter) -> None:
    keys, metrics = container.api_keys, HttpMetrics(container.registry, NAME)
    metrics.declare((route.method, route.path, route.status) for route in app[ROUTE_TABLE])
    app[GUARD] = Guard(
        keys.resolve,
        container.tokens.resolve,
        cookie=make_console_authenticator(container).resolve,
        check_code=keys.check_code,
        refused=keys.note_refused,
    )
    app[LIMITER] = limiter
    app[HTTP_MIDDLEWARE] = HttpMiddleware(
        origins=container.settings.origins,
        ids=container.ids,
        metrics=metrics,
        https=container.settings.is_production,
        problem_types=PROBLEM_TYPES,
    )
    app[TRACES] = container.traces


def _fill_auth(app: web.Application, container: Container) -> None:
    settings = container.settings
    app[API_KEYS] = ApiKeyServices(
        database=container.database,
        clock=container.clock,
        ids=container.ids,
        ring=settings.ring,
        is_production=settings.is_production,
        authenticator=container.api_keys,
    )
    app[INVITATIONS] = InvitationServices(
        database=container.database, clock=container.clock, ids=container.ids, settings=settings
    )
    fill_console_login(app, container)
    app[LOGIN] = LoginServices(
        settings=settings,
        database=container.database,
        pool=container.pool,
        clock=container.clock,
        tokens=container.tokens,
    )


def _fill_sessions(app: web.Application, container: Container, health: Health, stopping: asyncio.Event) -> None:
    settings = container.settings
    app[SESSIONS] = SessionServices(
        settings=settings,
        config=container.rules,
        database=container.database,
        creator=container.creator,
        reads=container.session_reads,
        live=container.live,
        deliveries=container.deliveries,
        explorer=deployment(settings.CHAIN_ID).explorer,
        workers_stopped=lambda: health.unwell("workers"),
        stopping=stopping,
    )


def _fill_treasury(app: web.Application, container: Container) -> None:
    app[TREASURY] = TreasuryServices(
        settings=container.settings,
        rules=container.rules,
        database=container.database,
        pool=container.pool,
        clock=container.clock,
        ids=container.ids,
        policy=container.policy,
        orders=container.sweep_proposals,
        usdc=container.usdc,
        recipients=container.recipients,
        audit_verifier=AuditVerifier(container.database, container.settings.ring, container.clock),
    )


def _fill_operator_views(app: web.Application, container: Container, health: Health) -> None:
    rules = container.rules
    app[OPERATOR_VIEWS] = OperatorViewServices(
        database=container.database,
        clock=container.clock,
        ring=container.settings.ring,
        pool=container.pool,
        health=health,
        wallet=None if rules.hot_wallet is None else HotWallet(rules.chain_id, rules.hot_wallet),
        policy=container.policy,
        explorer=deployment(container.settings.CHAIN_ID).explorer,
    )
