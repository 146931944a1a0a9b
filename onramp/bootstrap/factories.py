"""Build single parts of the service from the settings."""

from datetime import timedelta

import aiohttp
from prometheus_client import CollectorRegistry

from chain.deployments import deployment
from chain.node.metrics import PrometheusMetrics
from chain.pool.pool import Pool
from chain.types import Address
from kit.clock import Clock
from kit.db.database import Database, connect
from kit.http.outbound import OutboundClient
from kit.http.outbound_urls import OutboundRules
from kit.mail.mailer import Mailer
from onramp.bootstrap.identity import connection_name
from onramp.config import fields
from onramp.config.settings import Settings
from onramp.config.validation import MAINNET
from onramp.limits.counter import MemoryCounts, SharedCounts
from onramp.limits.limiter import Limiter
from onramp.limits.rates import LimitKind, Rate, at_least, parse_rate
from onramp.ops.purchase_metrics import PurchaseMetrics
from onramp.ops.service_metrics import show_build
from onramp.ops.telemetry import Traces
from onramp.sessions.config import SessionConfig
from onramp.stripe.gateway import make_gateway
from onramp.stripe.port import StripeGateway
from onramp.treasury.policy_source import read_policy
from treasury.cold.service import PoolColdWallet
from treasury.core.assets import GWEI, NATIVE
from treasury.policy.parser import PolicyError
from treasury.signers.intent import SigningLimits
from treasury.signers.protocol import Signer

MAX_FEE_WEI = 50 * GWEI


def session_config(settings: Settings) -> SessionConfig:
    """Return the settings about selling and delivering, as sessions use them."""
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
        origins=tuple(settings.origins),
    )


def make_database(settings: Settings, role: str) -> Database:
    """Create the connection pools of a process with this role; nothing is connected yet."""
    return connect(
        settings.DATABASE_URL.get_secret_value(),
        replica_url=settings.DATABASE_REPLICA_URL.get_secret_value() or None,
        pooled=settings.DATABASE_POOLER == "transaction",
        size=settings.DATABASE_POOL_SIZE,
        name=connection_name(role),
    )


def declare_metrics(registry: CollectorRegistry, database: Database, rules: SessionConfig, settings: Settings) -> None:
    """Declare the metrics that every process has, whatever it runs: build, objectives, and the counters of committed changes."""
    database.subscribe(PurchaseMetrics(registry).count)
    show_build(
        registry,
        mode=rules.mode,
        chain_id=rules.chain_id,
        environment=settings.ENVIRONMENT,
        revision=settings.ONRAMP_REVISION,
    )


def make_outbound(settings: Settings) -> OutboundClient:
    """Create the HTTP client for addresses that somebody else chose; in development it reaches this computer as well."""
    return OutboundClient(OutboundRules(development=not settings.is_production))


def make_http(traces: Traces | None) -> aiohttp.ClientSession:
    """Create the HTTP client that Stripe and all nodes share."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=200, limit_per_host=64, ttl_dns_cache=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[] if traces is None else [traces.client_tracing()],
    )


def make_pool(settings: Settings, http: aiohttp.ClientSession, clock: Clock, metrics: PrometheusMetrics) -> Pool:
    """Create the pool of the chain's nodes."""
    return Pool(
        settings.nodes(),
        chain_id=settings.CHAIN_ID,
        agreement=settings.CHAIN_AGREEMENT,
        session=http,
        clock=clock,
        metrics=metrics,
        plan=settings.plan,
    )


def make_stripe(
    settings: Settings, http: aiohttp.ClientSession, clock: Clock, registry: CollectorRegistry
) -> StripeGateway:
    """Create the client of Stripe's API."""
    return make_gateway(
        secret_key=settings.STRIPE_SECRET_KEY.get_secret_value(),
        api_base=settings.STRIPE_API_BASE,
        stripe_version=settings.STRIPE_VERSION or None,
        http=http,
        clock=clock,
        registry=registry,
    )


def signing_limits(settings: Settings, rules: SessionConfig, wallet: Address) -> SigningLimits:
    """Return the limits that every signature of the hot wallet obeys. Sweeps may move the policy file's assets, to the pinned Safe alone."""
    try:
        listed = [asset.token for asset in read_policy(settings, rules).assets.values()]
    except PolicyError:
        listed = []  # an invalid file stops the start; until then nothing it lists may be signed
    return SigningLimits(
        chain_id=rules.chain_id,
        wallet=wallet,
        token=rules.token,
        max_fee=MAX_FEE_WEI,
        cold=settings.COLD_SAFE_ADDRESS or None,
        sweep_tokens=frozenset(listed) - {rules.token, NATIVE},
        contract=settings.PAYOUT_CONTRACT or None,
    )


def make_signer(settings: Settings, rules: SessionConfig) -> Signer | None:
    """Create the hot wallet's signer; None if this process has no wallet. The provider's library is imported only if it is used."""
    if rules.hot_wallet is None:
        return None
    limits = signing_limits(settings, rules, rules.hot_wallet)
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


def make_mailer(settings: Settings, clock: Clock) -> Mailer | None:
    """Return the sender of mail; None unless SMTP_URL and MAIL_FROM are set."""
    server, sender = settings.mail_server(is_production=settings.is_production), settings.mail_sender
    return None if server is None or sender is None else Mailer(server, sender, clock)


def make_cold_wallet(settings: Settings, rules: SessionConfig, pool: Pool) -> PoolColdWallet | None:
    """Return the pinned cold wallet; None if none is pinned. The hot wallet must not be among its owners."""
    pin = settings.cold_pin(settings.CHAIN_ID)
    return (
        None
        if pin is None
        else PoolColdWallet(pool, pin, forbidden_owners=[rules.hot_wallet] if rules.hot_wallet else [])
    )


def make_limiter(settings: Settings, clock: Clock, registry: CollectorRegistry) -> Limiter:
    """Create the rate limiter; it counts in Redis if REDIS_URL is set, otherwise in this process."""
    url = settings.REDIS_URL.get_secret_value()
    counts = SharedCounts(url, clock, registry, settings.ring) if url else MemoryCounts()
    rates: dict[LimitKind, Rate | None] = {
        "create": parse_rate(settings.RATE_LIMIT_CREATE),
        "read": parse_rate(settings.RATE_LIMIT_READ),
        "auth": parse_rate(settings.RATE_LIMIT_AUTH),
    }
    total = at_least(parse_rate(settings.RATE_LIMIT_CREATE_TOTAL), rates["create"])
    return Limiter(counts, rates, fields.networks(settings.TRUSTED_PROXIES), clock, registry, total=total)
