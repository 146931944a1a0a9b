"""What the API and the workers share, chosen by the settings: the real database, nodes, gateway, signer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
from prometheus_client import CollectorRegistry

from chain.deployments import deployment
from chain.monitor.monitor import ChainWatch
from chain.node.metrics import PrometheusMetrics
from chain.pool.block_timer import BlockTimer
from chain.pool.pool import Pool
from chain.types import Address
from kit.clock import Clock, SystemClock
from kit.db.database import Database, connect
from kit.db.metrics import PoolMetrics
from kit.ids import RandomIds
from kit.logs import get_logger
from kit.shutdown import within
from onramp.bootstrap.settlement import make_usdc_chain
from onramp.config.settings import Settings
from onramp.config.validation import MAINNET
from onramp.deployment.service import OwnDeployment
from onramp.ops.telemetry import Traces, make_traces
from onramp.screening.oracle import SanctionsOracle
from onramp.screening.sanctions_list import Screening, ScreeningMetrics
from onramp.sessions.config import SessionConfig
from onramp.sessions.create import Creator
from onramp.sessions.ignored_sessions import IgnoredSessions
from onramp.sessions.refresh import Refresher
from onramp.stripe.gateway import make_gateway
from onramp.stripe.port import StripeGateway
from onramp.treasury.policy_source import read_policy
from treasury.cold.service import PoolColdWallet
from treasury.core.assets import GWEI, NATIVE
from treasury.earlier_payments import EarlierWallets
from treasury.policy.parser import PolicyError
from treasury.settlements.verification import UsdcChain
from treasury.signers.intent import SigningLimits
from treasury.signers.protocol import Signer

log = get_logger(__name__)
CLOSE_SECONDS = 1.0
TRACES_SECONDS = 4.0
"""How long each part may take to close."""
MAX_FEE_WEI = 50 * GWEI


class StartError(Exception):
    """The service cannot start as it is set up; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Core:
    """What the API and the workers share."""

    settings: Settings
    rules: SessionConfig
    database: Database
    http: aiohttp.ClientSession
    pool: Pool
    pace: BlockTimer
    watch: ChainWatch
    stripe: StripeGateway
    clock: Clock
    ids: RandomIds
    registry: CollectorRegistry
    deployment: OwnDeployment
    earlier: EarlierWallets
    creator: Creator
    refresher: Refresher
    screening: Screening
    signer: Signer | None
    cold: PoolColdWallet | None
    usdc: UsdcChain | None
    traces: Traces | None


def session_rules(settings: Settings) -> SessionConfig:
    """The rules of a session, out of the settings."""
    low, high = settings.minor_limits
    day, month = settings.wallet_limits
    token = settings.MUSD_TOKEN_ADDRESS or deployment(settings.CHAIN_ID).musd
    return SessionConfig(
        mode=settings.DELIVERY_MODE,
        chain_id=settings.CHAIN_ID,
        token=token,
        hot_wallet=settings.hot_wallet if settings.DELIVERY_MODE == "payout" else None,
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


def signing_rules(settings: Settings, rules: SessionConfig, wallet: Address) -> SigningLimits:
    """What every signature of the hot wallet keeps to; sweeps may move what the policy file lists, to the pinned Safe."""
    try:
        listed = [asset.token for asset in read_policy(settings, rules).assets.values()]
    except PolicyError:
        listed = []  # such a file stops the start; until then nothing of it may be signed
    return SigningLimits(
        chain_id=rules.chain_id,
        wallet=wallet,
        token=rules.token,
        max_fee=MAX_FEE_WEI,
        cold=settings.COLD_SAFE_ADDRESS or None,
        sweep_tokens=frozenset(listed) - {rules.token, NATIVE},
    )


def make_signer(settings: Settings, rules: SessionConfig) -> Signer | None:
    """The hot wallet's signer, imported only when chosen; None where this process has no wallet."""
    if rules.hot_wallet is None:
        return None
    limits = signing_rules(settings, rules, rules.hot_wallet)
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
            if settings.HOT_WALLET_KEYSTORE is None:
                return None
            from treasury.signers.local import LocalSigner

            return LocalSigner(settings.HOT_WALLET_KEYSTORE, settings.HOT_WALLET_PASSWORD.get_secret_value(), limits)


def make_cold(settings: Settings, rules: SessionConfig, pool: Pool) -> PoolColdWallet | None:
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
        settings.DATABASE_URL.get_secret_value(),
        replica_url=settings.DATABASE_REPLICA_URL.get_secret_value() or None,
        pooled=settings.DATABASE_POOLER == "transaction",
    )
    PoolMetrics(database, registry)
    traces = make_traces(settings)
    http = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=200, limit_per_host=64, ttl_dns_cache=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[] if traces is None else [traces.of_calls()],
    )
    for problem in filter(None, (settings.agreement_problem(), settings.settlement_problem())):
        log.warning("chain.agreement", problem=problem)
    chain_metrics = PrometheusMetrics(registry, settings.plan.weights)
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
    oracle = SanctionsOracle(pool, settings.SANCTIONS_ORACLE, clock) if settings.SANCTIONS_ORACLE else None
    screening = Screening(settings.SANCTIONS_LIST, clock, ScreeningMetrics(registry), oracle)
    signer = make_signer(settings, rules)
    usdc = make_usdc_chain(settings, rules.destination_network, http, clock)
    deployment = OwnDeployment(database, clock, ids)
    try:
        yield Core(
            settings=settings,
            rules=rules,
            database=database,
            http=http,
            pool=pool,
            pace=BlockTimer(clock),
            watch=ChainWatch(
                pool,
                database,
                chain_metrics,
                nodes_file=settings.CHAIN_NODES_FILE,
                token=rules.token,
                wallet=rules.hot_wallet,
            ),
            stripe=stripe,
            clock=clock,
            ids=ids,
            registry=registry,
            creator=Creator(database, stripe, rules, clock, ids, screening, settings.ring, deployment),
            deployment=deployment,
            earlier=EarlierWallets(pool, database, chain_id=rules.chain_id, token=rules.token),
            refresher=Refresher(
                database, stripe, rules, clock, ids, deployment, IgnoredSessions(registry), settings.ring
            ),
            screening=screening,
            signer=signer,
            cold=make_cold(settings, rules, pool),
            usdc=usdc,
            traces=traces,
        )
    finally:
        if signer is not None:
            await within(CLOSE_SECONDS, "signer", signer.close())
        await within(CLOSE_SECONDS, "nodes", pool.close())
        if usdc is not None:
            await within(CLOSE_SECONDS, "nodes of USDC", usdc.pool.close())
        await within(CLOSE_SECONDS, "http", http.close())
        if traces is not None:
            await within(TRACES_SECONDS, "traces", traces.close())
        await within(2 * CLOSE_SECONDS, "database", database.close())
