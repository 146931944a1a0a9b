"""Session objects: what may be asked, what Stripe refuses, and the echo."""

import re
import secrets
import time
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from onramp.sandbox.config import SandboxConfig
from onramp.sandbox.errors import StripeError, bad

NETWORKS: Final = ("avalanche", "base", "bitcoin", "ethereum", "optimism", "polygon", "solana", "stellar", "worldchain")
WALLET_KEYS: Final = {network: "base_network" if network == "base" else network for network in NETWORKS}
PAIRS: Final = {
    "usdc": ("ethereum", "base", "polygon", "avalanche", "solana", "stellar", "optimism"), "eth": ("ethereum", "base"),
    "btc": ("bitcoin",), "sol": ("solana",), "matic": ("polygon",), "avax": ("avalanche",), "xlm": ("stellar",), "wld": ("worldchain",),
}  # fmt: skip
DECIMALS: Final = {"usdc": 6, "btc": 8, "sol": 9}
_TOP: Final = {
    "wallet_addresses", "lock_wallet_address", "destination_currency", "destination_network", "destination_currencies",
    "destination_networks", "source_currency", "source_amount", "destination_amount", "customer_ip_address",
    "customer_information", "settlement_speed", "metadata", "expand",
}  # fmt: skip
_EVM = re.compile(r"0x[0-9a-fA-F]{40}")
BLOCKED_IP: Final = "203.0.113.1"
"""An address that stands for a country Stripe does not serve."""
ORDER: Final = ("initialized", "requires_payment", "fulfillment_processing", "fulfillment_complete")


def amount(text: str, code: str, name: str) -> Decimal:
    """A positive plain decimal."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value <= 0 or not re.fullmatch(r"[0-9.]+", text):
        raise bad(code, f"Invalid {name}.", name)
    return value


def validate(params: dict[str, Any]) -> None:  # noqa: C901, PLR0912 - one table of Stripe's refusals
    """Raise the error Stripe would give for these parameters."""
    for name in params:
        if name not in _TOP:
            raise bad("parameter_unknown", f"Received unknown parameter: {name}", name)
    for key in params.get("wallet_addresses") or {}:
        if key not in {*WALLET_KEYS.values(), "destination_tags"}:
            raise bad(
                "parameter_unknown", f"Received unknown parameter: wallet_addresses[{key}]", f"wallet_addresses[{key}]"
            )
    if "source_amount" in params and "destination_amount" in params:
        raise bad(
            "crypto_onramp_invalid_source_destination_pair", "Set only one of source_amount and destination_amount."
        )
    if "source_amount" in params:
        if "source_currency" not in params:
            raise bad("crypto_onramp_missing_source_currency", "source_amount needs source_currency.")
        value = amount(params["source_amount"], "crypto_onramp_invalid_source_amount", "source_amount")
        if value != value.quantize(Decimal("0.01")):
            raise bad("crypto_onramp_invalid_source_amount", "source_amount has fractional cents.", "source_amount")
    currency, network = params.get("destination_currency"), params.get("destination_network")
    if "destination_amount" in params:
        if currency is None:
            raise bad("crypto_onramp_missing_destination_currency", "destination_amount needs destination_currency.")
        amount(params["destination_amount"], "crypto_onramp_invalid_destination_amount", "destination_amount")
    if (currency is None) != (network is None):
        raise bad(
            "crypto_onramp_incomplete_destination_currency_and_network_pair",
            "Set destination_currency and destination_network together.",
        )
    if currency is not None and network not in PAIRS.get(currency, ()):
        raise bad(
            "crypto_onramp_invalid_destination_currency_and_network_pair", f"{currency} is not available on {network}."
        )
    currencies, networks = params.get("destination_currencies"), params.get("destination_networks")
    if currencies and networks and not any(n in PAIRS.get(c, ()) for c in currencies for n in networks):
        raise bad("crypto_onramp_invalid_destination_currencies_and_networks", "No supported pair.")
    if currencies and currency is not None and currency not in currencies:
        raise bad(
            "crypto_onramp_conflicting_destination_currency",
            "destination_currency is not among destination_currencies.",
        )
    if networks and network is not None and network not in networks:
        raise bad(
            "crypto_onramp_conflicting_destination_network", "destination_network is not among destination_networks."
        )
    wallets = {key: value for key, value in (params.get("wallet_addresses") or {}).items() if key != "destination_tags"}
    allowed = {WALLET_KEYS.get(item, item) for item in networks or NETWORKS}
    if set(wallets) - allowed:
        raise bad(
            "crypto_onramp_wallet_addresses_not_all_networks_supported",
            "A wallet's network is not among destination_networks.",
        )
    for key, value in wallets.items():
        if key in {"ethereum", "base_network", "polygon", "avalanche", "optimism", "worldchain"} and not _EVM.fullmatch(
            str(value)
        ):
            raise bad("crypto_onramp_wallet_address_invalid", "Invalid wallet address.", f"wallet_addresses[{key}]")
    if params.get("lock_wallet_address") == "true" and not wallets:
        raise bad("crypto_onramp_no_wallet_address_to_lock", "There is no wallet address to lock.")
    ip = params.get("customer_ip_address")
    if ip is not None:
        if not re.fullmatch(r"[0-9.]{7,15}|[0-9a-fA-F:]{2,39}", ip):
            raise bad("customer_ip_address", "Malformed IP address.", "customer_ip_address")
        if ip == BLOCKED_IP:
            raise bad("crypto_onramp_unsupported_country", "This country is not supported.")


def make(params: dict[str, Any], config: SandboxConfig) -> dict[str, Any]:
    """A fresh session with its echo."""
    number = secrets.token_hex(12)
    session_id = f"cos_{number}"
    flat = params if config.flat_fields else {}
    wallets: dict[str, Any] | None = None
    if flat.get("wallet_addresses"):
        wallets = dict.fromkeys(WALLET_KEYS.values()) | {"destination_tags": None} | dict(flat["wallet_addresses"])
    source = flat.get("source_amount")
    return {
        "id": session_id,
        "object": "crypto.onramp_session",
        "client_secret": f"{session_id}_secret_{secrets.token_urlsafe(24).replace('-', 'A').replace('_', 'B')}",
        "created": int(time.time()),
        "kyc_details_provided": "customer_information" in params,
        "livemode": False,
        "metadata": {str(key): str(value) for key, value in (params.get("metadata") or {}).items()},
        "redirect_url": f"{config.base_url}/pay?session_hash={secrets.token_urlsafe(24)}",
        "status": "initialized",
        "transaction_details": {
            "destination_amount": None,
            "destination_currency": flat.get("destination_currency"),
            "destination_network": flat.get("destination_network"),
            "destination_currencies": flat.get("destination_currencies") or sorted(PAIRS),
            "destination_networks": flat.get("destination_networks") or list(NETWORKS),
            "fees": None,
            "lock_wallet_address": flat.get("lock_wallet_address") == "true",
            "settlement_speed": flat.get("settlement_speed", "instant"),
            "source_amount": f"{Decimal(source):.2f}" if source else None,
            "source_currency": flat.get("source_currency"),
            "transaction_id": None,
            "wallet_address": None,
            "wallet_addresses": wallets,
        },
    }


def rate(currency: str) -> Decimal:
    """What one unit of fiat brings in USDC, at the sandbox's fixed rates."""
    return {"usd": Decimal(1), "eur": Decimal("1.08")}.get(currency, Decimal(1))


def quote(source: Decimal, source_currency: str, currency: str, network: str) -> dict[str, Any]:
    """One estimate; fees come on top of the amount."""
    network_fee = Decimal("0.15")
    transaction_fee = (source * Decimal("0.0395")).quantize(Decimal("0.01"))
    return {
        "id": secrets.token_hex(32),
        "destination_amount": f"{source * rate(source_currency):.{DECIMALS.get(currency, 18)}f}",
        "destination_currency": currency,
        "destination_network": network,
        "fees": {"network_fee_monetary": f"{network_fee:.2f}", "transaction_fee_monetary": f"{transaction_fee:.2f}"},
        "source_total_amount": f"{source + network_fee + transaction_fee:.2f}",
    }


def step(session: dict[str, Any], status: str, changes: dict[str, Any]) -> None:
    """Move one state forward and fill in what Stripe would know then. Raises StripeError for an illegal move."""
    current = session["status"]
    legal = status == "rejected" and current in {"initialized", "requires_payment"}
    legal = legal or (current in ORDER and status in ORDER and ORDER.index(status) == ORDER.index(current) + 1)
    if not legal:
        raise StripeError(400, "sandbox_illegal_move", f"A session does not go from {current} to {status}.")
    details = session["transaction_details"]
    if status == "fulfillment_processing":
        _choose(details, changes)
    if status == "fulfillment_complete":
        if changes.get("destination_amount") is not None:
            details["destination_amount"] = str(changes["destination_amount"])
        details["transaction_id"] = changes.get("transaction_id") or "0x" + secrets.token_hex(32)
    if "livemode" in changes:
        session["livemode"] = bool(changes["livemode"])
    session["status"] = status


def _choose(details: dict[str, Any], changes: dict[str, Any]) -> None:
    """What the buyer settles at the payment page; what is locked cannot be changed there, but a test may say otherwise."""
    for name in ("destination_currency", "destination_network", "source_amount"):
        if changes.get(name) is not None:
            details[name] = str(changes[name])
    details["source_amount"] = details["source_amount"] or "100.00"
    details["source_currency"] = details["source_currency"] or "usd"
    details["destination_currency"] = details["destination_currency"] or "usdc"
    details["destination_network"] = details["destination_network"] or "ethereum"
    key = WALLET_KEYS.get(details["destination_network"], details["destination_network"])
    details["wallet_address"] = changes.get("wallet_address") or (details["wallet_addresses"] or {}).get(key)
    made = quote(
        Decimal(details["source_amount"]),
        details["source_currency"],
        details["destination_currency"],
        details["destination_network"],
    )
    details["destination_amount"] = str(changes.get("destination_amount") or made["destination_amount"])
    details["fees"] = {
        "network_fee_amount": made["fees"]["network_fee_monetary"],
        "transaction_fee_amount": made["fees"]["transaction_fee_monetary"],
    }
