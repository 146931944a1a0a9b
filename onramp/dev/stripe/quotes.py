"""Price estimates: one for each existing pair of the requested currencies and networks, grouped by network."""

import secrets
import time
from decimal import Decimal
from typing import Any, Final

from onramp.dev.stripe import form
from onramp.dev.stripe.config import SandboxConfig
from onramp.dev.stripe.coverage import (
    CURRENCIES,
    DECIMALS,
    NETWORKS,
    PAIRS,
    SOURCE_CURRENCIES,
    WALLET_KEYS,
    format_crypto,
    rate,
)
from onramp.dev.stripe.errors import bad
from onramp.dev.stripe.params import amount

_NAMES: Final = frozenset(
    {
        "source_amount", "source_currency", "destination_amount", "destination_currencies", "destination_networks", "expand",
        "destination_currency", "destination_network",
    }
)  # fmt: skip
CENT: Final = Decimal("0.01")
_NETWORK_FEES: Final = {"ethereum": Decimal("0.15"), "bitcoin": Decimal("1.20")}


def fees(source: Decimal, network: str) -> tuple[Decimal, Decimal]:
    """Return network fee and processing fee of an amount, in the source currency; both are added to the amount."""
    return _NETWORK_FEES.get(network, Decimal("0.02")), (source * Decimal("0.0395")).quantize(CENT)


def quote(source: Decimal, bought: Decimal, currency: str, network: str) -> dict[str, Any]:
    """Return one estimate."""
    network_fee, transaction_fee = fees(source, network)
    return {
        "id": secrets.token_hex(32),
        "destination_amount": format_crypto(bought, currency),
        "destination_currency": currency,
        "destination_network": network,
        "fees": {"network_fee_monetary": f"{network_fee:.2f}", "transaction_fee_monetary": f"{transaction_fee:.2f}"},
        "source_total_amount": f"{source + network_fee + transaction_fee:.2f}",
    }


def quotes(tree: dict[str, Any], config: SandboxConfig) -> dict[str, Any]:
    """Return the response to a request for quotes.

    Networks that were not requested are empty lists, or null if the request has a destination amount.
    """
    form.require_known(tree, _NAMES)
    source_currency = form.text(tree, "source_currency") or "usd"
    if source_currency not in SOURCE_CURRENCIES:
        raise bad(None, f"Invalid source_currency: {source_currency}", "source_currency")
    currencies, networks = _requested_pairs(tree)
    source_amount, destination_amount = form.text(tree, "source_amount"), form.text(tree, "destination_amount")
    if source_amount is not None and destination_amount is not None:
        raise bad(
            "crypto_onramp_invalid_source_destination_pair", "Set only one of source_amount and destination_amount."
        )
    source = amount(source_amount or "100.00", 2)
    if source is None:
        raise bad("crypto_onramp_invalid_source_amount", "source_amount is a positive decimal.", "source_amount")
    estimates: dict[str, list[dict[str, Any]] | None] = dict.fromkeys(WALLET_KEYS.values())
    for network in networks or NETWORKS:
        estimates[WALLET_KEYS[network]] = [
            _estimate(source, destination_amount, source_currency, currency, network)
            for currency in currencies or CURRENCIES
            if network in PAIRS[currency]
        ]
    if not any(estimates.values()):
        raise bad("crypto_onramp_invalid_destination_currencies_and_networks", "No pair of these is available.")
    if destination_amount is None:
        estimates = {key: value or [] for key, value in estimates.items()}
    return {
        "id": secrets.token_hex(32),
        "object": "crypto.onramp.quotes",
        "destination_network_quotes": estimates,
        "livemode": config.livemode,
        "rate_fetched_at": time.time(),
        "source_amount": f"{source:.2f}" if destination_amount is None else None,
        "source_currency": source_currency,
    }


def _requested_pairs(tree: dict[str, Any]) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    currencies, networks = form.listing(tree, "destination_currencies"), form.listing(tree, "destination_networks")
    currency, network = form.text(tree, "destination_currency"), form.text(tree, "destination_network")
    currencies = currencies or ((currency,) if currency is not None else None)
    networks = networks or ((network,) if network is not None else None)
    for item in currencies or ():
        if item not in PAIRS:
            raise bad(None, f"Invalid destination_currencies: {item}", "destination_currencies")
    for item in networks or ():
        if item not in NETWORKS:
            raise bad(None, f"Invalid destination_networks: {item}", "destination_networks")
    return currencies, networks


def _estimate(
    source: Decimal, destination_amount: str | None, source_currency: str, currency: str, network: str
) -> dict[str, Any]:
    price = rate(source_currency, currency)
    if destination_amount is None:
        return quote(source, source * price, currency, network)
    bought = amount(destination_amount, DECIMALS[currency])
    if bought is None:
        raise bad(
            "crypto_onramp_invalid_destination_amount",
            "destination_amount is a positive decimal.",
            "destination_amount",
        )
    return quote((bought / price).quantize(CENT), bought, currency, network)
