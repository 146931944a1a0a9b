"""The one place that builds the service's parts and hands them to each other."""

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property

import aiohttp
from prometheus_client import CollectorRegistry

from chain.monitor.monitor import ChainMonitor
from chain.node.metrics import PrometheusMetrics
from chain.pool.block_timer import BlockTimer
from chain.pool.pool import Pool
from kit.alarms.alarms import Alarms
from kit.batching import DataLoader
from kit.clock import Clock, SystemClock
from kit.db.database import Database
from kit.db.metrics import PoolMetrics
from kit.http.outbound import OutboundClient
from kit.ids import RandomIds
from kit.logs import get_logger
from kit.mail.mailer import Mailer
from kit.worker import WorkerContext, WorkerMetrics
from onramp.alarms.catalog import CATALOG
from onramp.auth.api_keys.authenticator import ApiKeyAuthenticator
from onramp.auth.wallets.tokens import Tokens
from onramp.bootstrap import factories
from onramp.bootstrap.identity import NAME, process_name
from onramp.bootstrap.lifecycle import stop_later
from onramp.bootstrap.settlement import make_usdc_chain, recipients_of
from onramp.config.settings import Settings
from onramp.deliveries.context import DeliveryContext, DeliveryMetrics
from onramp.deliveries.worker import DeliveriesWorker, make_deliveries
from onramp.deployment.service import OwnDeployment
from onramp.ops.telemetry import Traces, make_traces
from onramp.quotes.service import Quotes
from onramp.screening.oracle import SanctionsOracle
from onramp.screening.sanctions_list import Screening, ScreeningMetrics
from onramp.sessions import service as sessions_service
from onramp.sessions.change_feed import ChangeFeed
from onramp.sessions.config import SessionConfig
from onramp.sessions.create import Creator
from onramp.sessions.ignored_sessions import IgnoredSessions
from onramp.sessions.model import Session
from onramp.sessions.purchase_intents import PurchaseIntents
from onramp.sessions.refresh import Refresher
from onramp.stripe.port import StripeGateway
from onramp.treasury import policy_source
from onramp.webhooks.intake import WebhookMetrics
from treasury.alarms import Alarms as TreasuryAlarms
from treasury.cold.service import PoolColdWallet
from treasury.earlier_payments import EarlierWalletReader
from treasury.metrics import PrometheusTreasuryMetrics
from treasury.policy.active import ActivePolicy
from treasury.settlements.verification import Recipients, UsdcChain
from treasury.signers.protocol import Signer
from treasury.sweeps.proposals import SweepProposals

log = get_logger(__name__)
CLOSE_SECONDS = 1.0
TRACES_SECONDS = 4.0
"""Seconds that sending the last traces may take at the end; each other part has CLOSE_SECONDS."""


@dataclass(frozen=True, eq=False)
class Container:
    """All parts of one process. Fields are built when the container opens, properties when they are first used."""

    settings: Settings
    rules: SessionConfig
    clock: Clock
    ids: RandomIds
    registry: CollectorRegistry
    database: Database
    traces: Traces | None
    http: aiohttp.ClientSession
    outbound: OutboundClient
    """The HTTP client for addresses that somebody else chose; it reaches public ones only."""
    pool: Pool
    chain_metrics: PrometheusMetrics
    stripe: StripeGateway
    screening: Screening
    ignored: IgnoredSessions
    usdc: UsdcChain | None
    """The reader of the chain of USDC, which shows whether USDC arrived; None if no node of that chain is configured."""
    signer: Signer | None
    process_name: str
    """A name that no other process sharing the database has, for leases and heartbeats."""
    alarms: Alarms

    @cached_property
    def worker_context(self) -> WorkerContext:
        """The parts that the workers of this process share."""
        return WorkerContext(self.database, self.clock, WorkerMetrics(self.registry, NAME), self.process_name)

    @cached_property
    def block_timer(self) -> BlockTimer:
        """The timer that tells when the next block is due."""
        return BlockTimer(self.clock)

    @cached_property
    def watch(self) -> ChainMonitor:
        """The monitor that compares the nodes with each other; made once, and not started."""
        return ChainMonitor(
            self.pool,
            self.database,
            self.chain_metrics,
            nodes_file=self.settings.CHAIN_NODES_FILE,
            token=self.rules.token,
            wallet=self.rules.hot_wallet,
        )

    @cached_property
    def deployment(self) -> OwnDeployment:
        """This deployment's identity."""
        return OwnDeployment(self.database, self.clock, self.ids)

    @cached_property
    def earlier(self) -> EarlierWalletReader:
        """The reader that finds payments of hot wallets that were used before."""
        return EarlierWalletReader(
            self.pool,
            self.database,
            chain_id=self.rules.chain_id,
            token=self.rules.token,
            contract=self.settings.PAYOUT_CONTRACT or None,
        )

    @cached_property
    def creator(self) -> Creator:
        """The part that creates sessions."""
        intents = PurchaseIntents(
            self.database, self.rules, self.clock, self.ids, self.screening, self.settings.ring, self.deployment
        )
        return Creator(self.database, self.stripe, self.rules, self.clock, self.settings.ring, intents)

    @cached_property
    def refresher(self) -> Refresher:
        """The part that applies to a session what Stripe reports about it."""
        return Refresher(
            self.database,
            self.stripe,
            self.rules,
            self.clock,
            self.ids,
            self.deployment,
            self.ignored,
            self.settings.ring,
        )

    @cached_property
    def session_reads(self) -> DataLoader[str, Session]:
        """The loader of sessions by id; requests that arrive together share one query."""

        async def read(ids: Collection[str]) -> dict[str, Session]:
            async with self.database.read() as conn:
                return await sessions_service.get_many(conn, ids)

        return DataLoader(read)

    @cached_property
    def live(self) -> ChangeFeed:
        """The feed that follows changes of sessions for event streams."""
        return ChangeFeed(self.database)

    @cached_property
    def deliveries(self) -> DeliveriesWorker:
        """The worker that finds deliveries on the chain; it also checks one immediately when its wallet asks."""
        wallet = [self.rules.hot_wallet] if self.rules.hot_wallet else []
        senders = frozenset(self.settings.delivery_senders if self.rules.mode == "observe" else wallet)
        context = DeliveryContext(
            database=self.database,
            pool=self.pool,
            config=self.rules,
            senders=senders,
            clock=self.clock,
            metrics=DeliveryMetrics(self.registry),
            changed=self.live.nudge,
        )
        return make_deliveries(context, self.block_timer)

    @cached_property
    def webhook_metrics(self) -> WebhookMetrics:
        """The metrics of Stripe's events, shared by intake and inbox worker."""
        return WebhookMetrics(self.registry)

    @cached_property
    def quotes(self) -> Quotes:
        """The part that estimates prices."""
        return Quotes(self.database, self.stripe, self.rules, self.clock)

    @cached_property
    def tokens(self) -> Tokens:
        """The part that issues and checks the tokens of wallets."""
        return Tokens(self.database, self.settings.jwt_secrets, self.settings.CHAIN_ID, self.clock)

    @cached_property
    def api_keys(self) -> ApiKeyAuthenticator:
        """The part that resolves API keys to callers."""
        return ApiKeyAuthenticator(self.database, self.settings.ring, self.clock)

    @cached_property
    def mailer(self) -> Mailer | None:
        """The sender of mail; None if no mail server is configured."""
        return factories.make_mailer(self.settings, self.clock)

    @cached_property
    def cold(self) -> PoolColdWallet | None:
        """The pinned cold wallet; None if none is pinned."""
        return factories.make_cold_wallet(self.settings, self.rules, self.pool)

    @cached_property
    def policy(self) -> ActivePolicy | None:
        """The active treasury policy; None if this deployment pays from no wallet."""
        wallet = self.rules.hot_wallet
        return (
            None if wallet is None else policy_source.active_policy(self.settings, self.rules, wallet, self.screening)
        )

    @cached_property
    def treasury_metrics(self) -> PrometheusTreasuryMetrics:
        """The treasury's metrics; created once, because they can be registered only once."""
        kinds = [name.removeprefix("treasury.") for name in CATALOG if name.startswith("treasury.")]
        return PrometheusTreasuryMetrics(self.registry, kinds)

    @cached_property
    def treasury_alarms(self) -> TreasuryAlarms:
        """The treasury's alarms, which count in its metrics, too."""
        return TreasuryAlarms(self.treasury_metrics, self.alarms)

    @cached_property
    def sweep_proposals(self) -> SweepProposals | None:
        """The part that proposes sweeps; None if no cold wallet is pinned."""
        if self.policy is None or self.cold is None or self.rules.hot_wallet is None:
            return None
        return SweepProposals(self.policy, self.cold, self.rules.hot_wallet, self.ids)

    @cached_property
    def recipients(self) -> Recipients:
        """A reader of the addresses to which the USDC of sessions may have gone."""
        return recipients_of(self.rules)


@asynccontextmanager
async def open_container(
    settings: Settings, clock: Clock | None = None, *, role: str = "command"
) -> AsyncIterator[Container]:
    """Open all shared parts; close them in the opposite order, each in limited time. `role` says to the database what this process is."""
    clock = clock or SystemClock()
    registry = CollectorRegistry()
    rules = factories.session_config(settings)
    async with AsyncExitStack() as stack:
        database = factories.make_database(settings, role)
        stop_later(stack, 2 * CLOSE_SECONDS, "database", database.close)
        PoolMetrics(database, registry, NAME)
        factories.declare_metrics(registry, database, rules, settings)
        traces = make_traces(settings)
        if traces is not None:
            stop_later(stack, TRACES_SECONDS, "traces", traces.close)
        http = factories.make_http(traces)
        stop_later(stack, CLOSE_SECONDS, "http", http.close)
        outbound = factories.make_outbound(settings)
        stop_later(stack, CLOSE_SECONDS, "outbound", outbound.close)
        for problem in filter(None, (settings.agreement_problem(), settings.settlement_problem())):
            log.warning("chain.agreement", problem=problem)
        usdc = make_usdc_chain(settings, rules.destination_network, http, clock)
        if usdc is not None:
            stop_later(stack, CLOSE_SECONDS, "nodes of USDC", usdc.pool.close)
        chain_metrics = PrometheusMetrics(registry, settings.plan.weights)
        pool = factories.make_pool(settings, http, clock, chain_metrics)
        stop_later(stack, CLOSE_SECONDS, "nodes", pool.close)
        signer = factories.make_signer(settings, rules)
        if signer is not None:
            stop_later(stack, CLOSE_SECONDS, "signer", signer.close)
        ids = RandomIds()
        name = process_name(ids)
        alarms = Alarms(database, clock, CATALOG, process=name, registry=registry, prefix=NAME)
        oracle = SanctionsOracle(pool, settings.SANCTIONS_ORACLE, clock) if settings.SANCTIONS_ORACLE else None
        yield Container(
            settings=settings,
            rules=rules,
            clock=clock,
            ids=ids,
            registry=registry,
            database=database,
            traces=traces,
            http=http,
            outbound=outbound,
            pool=pool,
            chain_metrics=chain_metrics,
            stripe=factories.make_stripe(settings, http, clock, registry),
            screening=Screening(settings.SANCTIONS_LIST, clock, ScreeningMetrics(registry), oracle, alarms),
            ignored=IgnoredSessions(registry),
            usdc=usdc,
            signer=signer,
            process_name=name,
            alarms=alarms,
        )
