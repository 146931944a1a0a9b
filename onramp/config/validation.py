"""Validation across settings: values that are valid on their own but together would lose money or let strangers in."""

from typing import Final

from onramp.config.fields import is_weak_key
from onramp.config.settings import Settings

MAINNET: Final = 31612
MIN_SECRET_LENGTH: Final = 16
"""The shortest secret that production accepts, in characters. The metrics, for example, show how much money is where."""
SETTLEMENT_NETWORKS: Final = frozenset({"ethereum", "base", "polygon", "avalanche", "optimism"})
"""The EVM networks on which Stripe delivers USDC (docs.stripe.com/crypto/onramp/standalone-onramp-guide, and its 2026 previews)."""


def problems_of(settings: Settings, *, to_run: bool) -> list[str]:
    """Return a sentence for each reason to refuse these settings. In development, what only selling needs is checked only with `to_run`."""
    if settings.is_production:
        return [*_money_problems(settings), *_production_problems(settings)]
    return [*_money_problems(settings), *(_selling_problems(settings) if to_run else ())]


def guessable(settings: Settings) -> list[str]:
    """Return a sentence for each secret that can be guessed. The doctor warns about them, production refuses them."""
    problems = []
    if settings.DATA_KEYS.get_secret_value() and any(map(is_weak_key, settings.data_keys)):
        problems.append("DATA_KEYS holds a development or typed key; `openssl rand -hex 32` makes one")
    if settings.JWT_SECRETS.get_secret_value() and any(map(is_weak_key, settings.jwt_secrets)):
        problems.append("JWT_SECRETS holds a typed key; `openssl rand -hex 32` makes one")
    if 0 < len(settings.METRICS_TOKEN.get_secret_value()) < MIN_SECRET_LENGTH:
        problems.append(f"METRICS_TOKEN is shorter than {MIN_SECRET_LENGTH} characters")
    if any(len(item.removeprefix("whsec_")) < MIN_SECRET_LENGTH for item in settings.webhook_secrets):
        problems.append(
            f"STRIPE_WEBHOOK_SECRETS holds one shorter than {MIN_SECRET_LENGTH} characters; Stripe's are twice as long"
        )
    return problems


def _money_problems(settings: Settings) -> list[str]:
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
    if (mail_problem := settings.mail_problem()) is not None:
        problems.append(mail_problem)
    can_mail = bool(settings.SMTP_URL.get_secret_value())
    problems += settings.notice_problems(can_mail=can_mail, is_production=settings.is_production)
    problems += settings.oidc_problems(is_production=settings.is_production, public_origin=settings.public_origin)
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


def _selling_problems(settings: Settings) -> list[str]:
    """Return the problems of an incomplete configuration that would sell what it cannot deliver. In development nothing has to be set."""
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


def _production_problems(settings: Settings) -> list[str]:
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
    if settings.SMTP_URL.get_secret_value() and not settings.ONRAMP_API_URL:
        problems.append(
            "ONRAMP_API_URL is required with SMTP_URL in production: mails to buyers link to their purchase"
        )
    if "*" in settings.origins:
        problems.append("ALLOWED_ORIGINS: production takes exact origins, not *")
    if settings.CHAIN_ID == MAINNET:
        problems += [problem for problem in (settings.agreement_problem(), settings.settlement_problem()) if problem]
    return problems
