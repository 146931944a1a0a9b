"""Rules across variables: each value may be right by itself while together they would lose money or let strangers in."""

from typing import Final

from kit.crypto.keyring import is_weak
from onramp.config.settings import Settings

MAINNET: Final = 31612
SHORT_TOKEN: Final = 16
"""Characters; whoever reads the metrics knows how much money is where."""
SETTLEMENT_NETWORKS: Final = frozenset({"ethereum", "base", "polygon", "avalanche", "optimism"})
"""EVM networks on which Stripe delivers USDC (docs.stripe.com/crypto/onramp/standalone-onramp-guide, and its 2026 previews)."""


def problems_of(settings: Settings, *, to_run: bool) -> list[str]:
    """Why the service must not start with these, a sentence each; a command that does not sell (not `to_run`) needs less."""
    if settings.is_production:
        return [*_of_money(settings), *_of_production(settings)]
    return [*_of_money(settings), *(_of_selling(settings) if to_run else ())]


def guessable(settings: Settings) -> list[str]:
    """Secrets that are set and that somebody can guess: the doctor warns of them, production refuses them."""
    found = []
    if settings.DATA_KEYS.get_secret_value() and settings.ring.is_weak:
        found.append("DATA_KEYS holds a development or typed key; `openssl rand -hex 32` makes one")
    if settings.JWT_SECRETS.get_secret_value() and any(is_weak(key) for key in settings.jwt_secrets):
        found.append("JWT_SECRETS holds a typed key; `openssl rand -hex 32` makes one")
    if 0 < len(settings.METRICS_TOKEN.get_secret_value()) < SHORT_TOKEN:
        found.append(f"METRICS_TOKEN is shorter than {SHORT_TOKEN} characters")
    if any(len(item.removeprefix("whsec_")) < SHORT_TOKEN for item in settings.webhook_secrets):
        found.append(
            f"STRIPE_WEBHOOK_SECRETS holds one shorter than {SHORT_TOKEN} characters; Stripe's are twice as long"
        )
    return found


def _of_money(settings: Settings) -> list[str]:
    problems = []
    low, high = settings.minor_limits
    if not 0 < low <= high:
        problems.append("SESSION_MIN_AMOUNT must be above zero and not above SESSION_MAX_AMOUNT")
    if settings.DELIVERY_MODE == "observe" and not settings.delivery_senders:
        problems.append("DELIVERY_SENDERS is required in observe mode: only transfers from these addresses count")
    if settings.DELIVERY_MODE == "payout":
        if settings.STRIPE_DESTINATION_CURRENCY != "usdc":
            problems.append("STRIPE_DESTINATION_CURRENCY must be usdc in payout mode: MUSD is paid one for one")
        if settings.STRIPE_DESTINATION_NETWORK not in SETTLEMENT_NETWORKS:
            problems.append(
                f"STRIPE_DESTINATION_NETWORK must be one of {', '.join(sorted(SETTLEMENT_NETWORKS))} in payout mode"
            )
    try:
        settings.cold_pin(settings.CHAIN_ID)
    except ValueError as error:
        problems.append(str(error))
    try:
        settings.nodes()
    except (OSError, ValueError) as error:
        problems.append(str(error))
    if settings.settlement_nodes() and settings.settlement_network(settings.STRIPE_DESTINATION_NETWORK) is None:
        problems.append(
            "SETTLEMENT_USDC_ADDRESS is missing: SETTLEMENT_RPC_URLS are asked about USDC, and its address on that chain is not known"
        )
    secret = settings.STRIPE_SECRET_KEY.get_secret_value()
    if settings.CHAIN_ID == MAINNET and secret.startswith(("sk_test_", "rk_test_")):
        problems.append("STRIPE_SECRET_KEY is a test key, and CHAIN_ID 31612 pays real money")
    return problems


def _of_selling(settings: Settings) -> list[str]:
    """In development nothing need be set to start; but a shop that is set up in part would sell what it cannot deliver."""
    secret = settings.STRIPE_SECRET_KEY.get_secret_value()
    if settings.DELIVERY_MODE != "payout" or not (secret or settings.SETTLEMENT_ADDRESS):
        return []
    problems = []
    if not secret:
        problems.append("STRIPE_SECRET_KEY is missing: nothing can be sold without it")
    if not settings.SETTLEMENT_ADDRESS:
        problems.append("SETTLEMENT_ADDRESS is missing: it says where Stripe delivers with DELIVERY_MODE payout")
    has_keystore = settings.HOT_WALLET_KEYSTORE is not None
    if settings.hot_wallet is None and (has_keystore or settings.CHAIN_ID == MAINNET):
        problems.append("HOT_WALLET_ADDRESS is missing: it says who pays buyers, and no HOT_WALLET_KEYSTORE shows it")
    if has_keystore and not settings.HOT_WALLET_PASSWORD.get_secret_value():
        problems.append("HOT_WALLET_PASSWORD is missing: it opens HOT_WALLET_KEYSTORE")
    return problems


def _of_production(settings: Settings) -> list[str]:
    problems = guessable(settings)
    required = {
        "STRIPE_SECRET_KEY": settings.STRIPE_SECRET_KEY.get_secret_value(),
        "STRIPE_PUBLISHABLE_KEY": settings.STRIPE_PUBLISHABLE_KEY,
        "STRIPE_WEBHOOK_SECRETS": settings.STRIPE_WEBHOOK_SECRETS.get_secret_value(),
        "METRICS_TOKEN": settings.METRICS_TOKEN.get_secret_value(),
        "DATA_KEYS": settings.DATA_KEYS.get_secret_value(),
        "JWT_SECRETS": settings.JWT_SECRETS.get_secret_value(),
        "MEZO_RPC_URLS or SPECTRUM_RPC_URLS": (
            settings.MEZO_RPC_URLS.get_secret_value()
            or settings.SPECTRUM_RPC_URLS.get_secret_value()
            or settings.CHAIN_NODES_FILE
        ),
    }
    if settings.DELIVERY_MODE == "payout":
        required |= {
            "SETTLEMENT_ADDRESS": settings.SETTLEMENT_ADDRESS,
            "HOT_WALLET_ADDRESS": settings.HOT_WALLET_ADDRESS,
        }
        if settings.HOT_WALLET_SIGNER == "local":
            problems.append(
                "HOT_WALLET_SIGNER=local keeps the key on this machine, and production takes aws-kms or gcp-kms"
            )
        if settings.GCP_KMS_ENDPOINT:
            problems.append("GCP_KMS_ENDPOINT names a test server; production asks Google")
    problems += [f"{name} is required in production" for name, value in required.items() if not value]
    if settings.DATABASE_URL.get_secret_value().startswith("sqlite"):
        problems.append("DATABASE_URL: SQLite is for development, and production takes Postgres")
    if not settings.STRIPE_API_BASE.startswith("https://"):
        problems.append("STRIPE_API_BASE points at a sandbox; production talks to Stripe over https")
    if "*" in settings.origins:
        problems.append("ALLOWED_ORIGINS: production takes exact origins, not *")
    if settings.CHAIN_ID == MAINNET:
        problems += [problem for problem in (settings.agreement_problem(), settings.settlement_problem()) if problem]
    return problems
