"""Session objects in Stripe's format, with the field names of either API surface."""

import secrets
import time
from typing import Any, Final

from onramp.dev.stripe.config import SandboxConfig
from onramp.dev.stripe.coverage import CURRENCIES, NETWORKS, WALLET_KEYS, format_crypto
from onramp.dev.stripe.params import V1_NAMES, CreateParams

Session = dict[str, Any]
"""A session as API surface v2 returns it; stored in this form, so that a response costs one serialisation."""
_NO_WALLETS: Final = dict.fromkeys(WALLET_KEYS.values())
_V2_TO_V1: Final = {new: old for old, new in V1_NAMES.items()}


def new_session(params: CreateParams, config: SandboxConfig) -> Session:
    """Return a new session. Amounts have the asset's precision; a list that the request omits contains everything available."""
    session_id = "cos_" + secrets.token_hex(12)
    wallets: dict[str, Any] | None = None
    if params.wallets or params.tags:
        tags = {"stellar": params.tags["stellar"]} if params.tags else None
        wallets = {**_NO_WALLETS, **params.wallets, "destination_tags": tags}
    bought, currency = params.destination_amount, params.currency
    return {
        "id": session_id,
        "object": "crypto.onramp_session",
        "client_secret": f"{session_id}_secret_{secrets.token_hex(20)}",
        "created": int(time.time()),
        "kyc_details_provided": params.kyc_provided,
        "livemode": config.livemode,
        "metadata": params.metadata,
        "redirect_url": f"{config.base_url}/pay?session_hash={secrets.token_urlsafe(24)}",
        "status": "initialized",
        "transaction_details": {
            "destination_amount": (
                format_crypto(bought, currency) if bought is not None and currency is not None else None
            ),
            "destination_currencies": params.currencies or CURRENCIES,
            "destination_currency": currency,
            "destination_network": params.network,
            "destination_networks": params.networks or NETWORKS,
            "fees": None,
            "lock_wallet_address": bool(params.lock),
            "settlement_speed": params.settlement_speed,
            "source_amount": f"{params.source_amount:.2f}" if params.source_amount is not None else None,
            "source_currency": params.source_currency,
            "transaction_id": None,
            "wallet_address": params.wallet_address,
            "wallet_addresses": wallets,
        },
    }


def rendered(session: Session, surface: str) -> Session:
    """Return the session with the field names of an API surface, `v1` or `v2`."""
    if surface != "v1":
        return session
    details = {_V2_TO_V1.get(name, name): value for name, value in session["transaction_details"].items()}
    return session | {"transaction_details": details}


def session_hash(session: Session) -> str:
    """Return the opaque part of the session's redirect URL."""
    return str(session["redirect_url"]).rpartition("=")[2]
