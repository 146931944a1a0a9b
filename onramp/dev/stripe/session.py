"""Session objects in Stripe's shape: the echo of a create, and the names of the older surface."""

import secrets
import time
from typing import Any, Final

from onramp.dev.stripe.config import SandboxConfig
from onramp.dev.stripe.coverage import CURRENCIES, NETWORKS, WALLET_KEYS, written
from onramp.dev.stripe.params import V1_NAMES, Wanted

Session = dict[str, Any]
"""As it is answered on the second surface; kept as it is, so that an answer costs one serialisation."""
_NO_WALLETS: Final = dict.fromkeys(WALLET_KEYS.values())
_V2_TO_V1: Final = {new: old for old, new in V1_NAMES.items()}


def make(wanted: Wanted, config: SandboxConfig) -> Session:
    """A fresh session. Money is echoed to the asset's precision; lists that were not given are all there is."""
    session_id = "cos_" + secrets.token_hex(12)
    wallets: dict[str, Any] | None = None
    if wanted.wallets or wanted.tags:
        tags = {"stellar": wanted.tags["stellar"]} if wanted.tags else None
        wallets = {**_NO_WALLETS, **wanted.wallets, "destination_tags": tags}
    bought, currency = wanted.destination_amount, wanted.currency
    return {
        "id": session_id,
        "object": "crypto.onramp_session",
        "client_secret": f"{session_id}_secret_{secrets.token_hex(20)}",
        "created": int(time.time()),
        "kyc_details_provided": wanted.kyc_provided,
        "livemode": config.livemode,
        "metadata": wanted.metadata,
        "redirect_url": f"{config.base_url}/pay?session_hash={secrets.token_urlsafe(24)}",
        "status": "initialized",
        "transaction_details": {
            "destination_amount": written(bought, currency) if bought is not None and currency is not None else None,
            "destination_currencies": wanted.currencies or CURRENCIES,
            "destination_currency": currency,
            "destination_network": wanted.network,
            "destination_networks": wanted.networks or NETWORKS,
            "fees": None,
            "lock_wallet_address": bool(wanted.lock),
            "settlement_speed": wanted.settlement_speed,
            "source_amount": f"{wanted.source_amount:.2f}" if wanted.source_amount is not None else None,
            "source_currency": wanted.source_currency,
            "transaction_id": None,
            "wallet_address": wanted.wallet_address,
            "wallet_addresses": wallets,
        },
    }


def rendered(session: Session, surface: str) -> Session:
    """The session in the names of a surface."""
    if surface != "v1":
        return session
    details = {_V2_TO_V1.get(name, name): value for name, value in session["transaction_details"].items()}
    return session | {"transaction_details": details}


def session_hash(session: Session) -> str:
    """The opaque part of the redirect address."""
    return str(session["redirect_url"]).rpartition("=")[2]
