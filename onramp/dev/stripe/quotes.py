"""Estimates: one for every pair that exists of the currencies and networks asked, grouped by network."""

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
    rate,
    written,
)
from onramp.dev.stripe.errors import bad
from onramp.dev.stripe.params import amount

_KNOWN: Final = frozenset(
    {
        "source_amount", "source_currency", "destination_amount", "destination_currencies", "destination_networks", "expand",
        "destination_currency", "destination_network",
    }
)  # fmt: skip
CENT: Final = Decimal("0.01")
_NETWORK_FEES: Final = {"ethereum": Decimal("0.15"), "bitcoin": Decimal("1.20")}


def fees(source: Decimal, network: str) -> tuple[Decimal, Decimal]:
    """Network fee and processing fee for an amount; both come on top of it."""
    return _NETWORK_FEES.get(network, Decimal("0.02")), (source * Decimal("0.0395")).quantize(CENT)


def quote(source: Decimal, bought: Decimal, currency: str, network: str) -> dict[str, Any]:
    """One estimate."""
    network_fee, transaction_fee = fees(source, network)
    return {
        "id": secrets.token_hex(32),
        "destination_amount": written(bought, currency),
        "destination_currency": currency,
        "destination_network": network,
        "fees": {"network_fee_monetary": f"{network_fee:.2f}", "transaction_fee_monetary": f"{transaction_fee:.2f}"},
        "source_total_amount": f"{source + network_fee + transaction_fee:.2f}",
    }


def quotes(tree: dict[str, Any], config: SandboxConfig) -> dict[str, Any]:
    """The answer; networks that were not asked for are empty lists, or null where the destination's amount was given."""
    form.only(tree, _KNOWN)
    source_currency = form.text(tree, "source_currency") or "usd"
    if source_currency not in SOURCE_CURRENCIES:
        raise bad(None, f"Invalid source_currency: {source_currency}", "source_currency")
    currencies, networks = _asked(tree)
    given, wanted = form.text(tree, "source_amount"), form.text(tree, "destination_amount")
    if given is not None and wanted is not None:
        raise bad(
            "crypto_onramp_invalid_source_destination_pair", "Set only one of source_amount and destination_amount."
        )
    source = amount(given or "100.00", 2)
    if source is None:
        raise bad("crypto_onramp_invalid_source_amount", "source_amount is a positive decimal.", "source_amount")
    found: dict[str, list[dict[str, Any]] | None] = dict.fromkeys(WALLET_KEYS.values())
    for network in networks or NETWORKS:
        found[WALLET_KEYS[network]] = [
            _priced(source, wanted, source_currency, currency, network)
            for currency in currencies or CURRENCIES
            if network in PAIRS[currency]
        ]
    if not any(found.values()):
        raise bad("crypto_onramp_invalid_destination_currencies_and_networks", "No pair of these is available.")
    if wanted is None:
        found = {key: value or [] for key, value in found.items()}
    return {
        "id": secrets.token_hex(32),
        "object": "crypto.onramp.quotes",
        "destination_network_quotes": found,
        "livemode": config.livemode,
        "rate_fetched_at": time.time(),
        "source_amount": f"{source:.2f}" if wanted is None else None,
        "source_currency": source_currency,
    }


def _asked(tree: dict[str, Any]) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
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


def _priced(source: Decimal, wanted: str | None, source_currency: str, currency: str, network: str) -> dict[str, Any]:
    price = rate(source_currency, currency)
    if wanted is None:
        return quote(source, source * price, currency, network)
    bought = amount(wanted, DECIMALS[currency])
    if bought is None:
        raise bad(
            "crypto_onramp_invalid_destination_amount",
            "destination_amount is a positive decimal.",
            "destination_amount",
        )
    return quote((bought / price).quantize(CENT), bought, currency, network)
