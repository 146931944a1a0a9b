"""The parameters of a create request, and Stripe's errors for invalid ones."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from onramp.dev.stripe import form
from onramp.dev.stripe.config import SandboxConfig
from onramp.dev.stripe.coverage import CURRENCIES, DECIMALS, EVM, NETWORK_OF_KEY, NETWORKS, PAIRS, SOURCE_CURRENCIES
from onramp.dev.stripe.errors import StripeError, bad
from onramp.dev.stripe.kyc import check_person

UNSUPPORTED_COUNTRY: Final = "203.0.113.1"
UNSUPPORTABLE_CUSTOMER: Final = "203.0.113.2"
MINTING_DISABLED: Final = "203.0.113.3"
"""A customer's IP address that triggers an error; like the two above, a documentation address (RFC 5737), whatever the other parameters are."""

_COMMON: Final = frozenset(
    {"customer_ip_address", "customer_information", "kyc_details", "settlement_speed", "metadata", "expand"}
)
_FLAT: Final = frozenset(
    {
        "wallet_addresses", "wallet_address", "lock_wallet_address", "destination_currency", "destination_network",
        "destination_currencies", "destination_networks", "source_currency", "source_amount", "destination_amount",
    }
)  # fmt: skip
_V2: Final = _COMMON | _FLAT
_V1: Final = _V2 | {"transaction_details"}
V1_NAMES: Final = {
    "supported_destination_currencies": "destination_currencies",
    "supported_destination_networks": "destination_networks",
    "source_exchange_amount": "source_amount",
    "destination_exchange_amount": "destination_amount",
}
"""The new names of the four parameters that API surface v2 renamed, by their v1 name."""
_NESTED: Final = (_FLAT - set(V1_NAMES.values())) | set(V1_NAMES)
_DECIMAL: Final = re.compile(r"[0-9]{1,30}(?:\.[0-9]{1,30})?")
_ADDRESSES: Final[Mapping[str, re.Pattern[str]]] = {
    **dict.fromkeys(EVM, re.compile(r"0x[0-9a-fA-F]{40}")),
    "bitcoin": re.compile(r"(?:bc1|tb1|bcrt1)[02-9ac-hj-np-z]{11,87}|[123mn][1-9A-HJ-NP-Za-km-z]{25,34}"),
    "solana": re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}"),
    "stellar": re.compile(r"[GM][A-Z2-7]{55,68}"),
    "sui": re.compile(r"0x[0-9a-fA-F]{64}"),
}


@dataclass(frozen=True, slots=True)
class CreateParams:
    """The parameters of a valid create request."""

    wallets: Mapping[str, str]
    tags: Mapping[str, str]
    wallet_address: str | None
    lock: bool | None
    currency: str | None
    network: str | None
    currencies: tuple[str, ...] | None
    networks: tuple[str, ...] | None
    source_currency: str | None
    source_amount: Decimal | None
    destination_amount: Decimal | None
    settlement_speed: str
    metadata: Mapping[str, str]
    kyc_provided: bool


def read_create(tree: dict[str, Any], config: SandboxConfig, surface: str) -> CreateParams:
    """Return the parameters of a create request. Raises StripeError with Stripe's own error for an invalid one."""
    form.require_known(tree, _V1 if surface == "v1" else _V2)
    flat = tree
    if surface == "v1":
        nested = form.mapping(tree, "transaction_details")
        form.require_known(nested, _NESTED, "transaction_details")
        flat = {V1_NAMES.get(name, name): value for name, value in nested.items()}
    if not config.merchant_ready:
        raise bad("crypto_onramp_merchant_not_properly_setup", "Set your business name and URL in the Dashboard first.")
    kyc = check_person(tree)
    _check_ip(form.text(tree, "customer_ip_address"))
    speed = form.text(tree, "settlement_speed") or "instant"
    if speed not in {"instant", "standard"}:
        raise bad(None, "Invalid settlement_speed: must be one of instant or standard", "settlement_speed")
    form.listing(tree, "expand")
    currency, network, currencies, networks = _destination(flat)
    source_currency, source, amount = _amounts(flat, config, currency, network)
    wallets, tags = _wallets(flat, network, networks)
    lock = form.boolean(flat, "lock_wallet_address")
    single = form.text(flat, "wallet_address")
    if lock and not wallets and single is None:
        raise bad(
            "crypto_onramp_no_wallet_address_to_lock", "There is no wallet address to lock.", "lock_wallet_address"
        )
    return CreateParams(
        wallets, tags, single, lock, currency, network, currencies, networks, source_currency, source, amount, speed,
        _metadata(tree), kyc,
    )  # fmt: skip


def _check_ip(ip: str | None) -> None:
    if ip is None:
        return
    try:
        ipaddress.ip_address(ip)
    except ValueError as error:
        raise bad("customer_ip_address", f"Invalid IP address: {ip}", "customer_ip_address") from error
    if ip == UNSUPPORTED_COUNTRY:
        raise bad("crypto_onramp_unsupported_country", "The customer is in a country we do not support.")
    if ip == UNSUPPORTABLE_CUSTOMER:
        raise bad("crypto_onramp_unsupportable_customer", "We cannot serve this customer.")
    if ip == MINTING_DISABLED:
        raise StripeError(400, "crypto_onramp_disabled", "Session creation is stopped at the moment.", kind="api_error")


def _destination(
    tree: dict[str, Any],
) -> tuple[str | None, str | None, tuple[str, ...] | None, tuple[str, ...] | None]:
    currency, network = form.text(tree, "destination_currency"), form.text(tree, "destination_network")
    currencies, networks = form.listing(tree, "destination_currencies"), form.listing(tree, "destination_networks")
    for items, supported, name in (
        (currencies, CURRENCIES, "destination_currencies"),
        (networks, NETWORKS, "destination_networks"),
    ):
        for item in items or ():
            if item not in supported:
                raise bad(None, f"Invalid {name}: must be one of {', '.join(supported)}", name)
    if (currency is None) != (network is None):
        raise bad(
            "crypto_onramp_incomplete_destination_currency_and_network_pair",
            "Set destination_currency and destination_network together.",
        )
    if currency is not None and network not in PAIRS.get(currency, ()):
        raise bad(
            "crypto_onramp_invalid_destination_currency_and_network_pair", f"{currency} is not available on {network}."
        )
    offered = [PAIRS[item] for item in currencies or CURRENCIES]
    if (currencies or networks) and not any(item in pairs for pairs in offered for item in networks or NETWORKS):
        raise bad(
            "crypto_onramp_invalid_destination_currencies_and_networks",
            "No destination currency is available on any destination network.",
        )
    if currencies is not None and currency is not None and currency not in currencies:
        raise bad(
            "crypto_onramp_conflicting_destination_currency",
            "destination_currency is not among destination_currencies.",
            "destination_currency",
        )
    if networks is not None and network is not None and network not in networks:
        raise bad(
            "crypto_onramp_conflicting_destination_network",
            "destination_network is not among destination_networks.",
            "destination_network",
        )
    return currency, network, currencies, networks


def _amounts(
    tree: dict[str, Any], config: SandboxConfig, currency: str | None, network: str | None
) -> tuple[str | None, Decimal | None, Decimal | None]:
    source_currency = form.text(tree, "source_currency")
    source, destination = form.text(tree, "source_amount"), form.text(tree, "destination_amount")
    if source_currency is not None and source_currency not in SOURCE_CURRENCIES:
        names = ", ".join(sorted(SOURCE_CURRENCIES))
        raise bad(None, f"Invalid source_currency: must be one of {names}", "source_currency")
    if source is not None and destination is not None:
        raise bad(
            "crypto_onramp_invalid_source_destination_pair", "Set only one of source_amount and destination_amount."
        )
    paid = bought = None
    if source is not None:
        if source_currency is None:
            raise bad(
                "crypto_onramp_missing_source_currency", "source_amount needs source_currency.", "source_currency"
            )
        paid = amount(source, 2)
        if paid is None:
            raise bad("crypto_onramp_invalid_source_amount", "source_amount is a positive decimal.", "source_amount")
        if config.minimum_amount is not None and paid < config.minimum_amount:
            raise bad("crypto_onramp_amount_below_minimum", "The amount is below the minimum.", "source_amount")
        if config.maximum_amount is not None and paid > config.maximum_amount:
            raise bad("crypto_onramp_amount_above_maximum", "The amount is above the maximum.", "source_amount")
    if destination is not None:
        if currency is None or network is None:
            raise bad(
                "crypto_onramp_missing_destination_currency",
                "destination_amount needs destination_currency and destination_network.",
                "destination_currency",
            )
        bought = amount(destination, DECIMALS[currency])
        if bought is None:
            raise bad(
                "crypto_onramp_invalid_destination_amount",
                "destination_amount is a positive decimal of at most the asset's precision.",
                "destination_amount",
            )
    return source_currency, paid, bought


def amount(text: str, places: int) -> Decimal | None:
    """Parse a positive plain decimal with at most `places` decimal places; None for anything else."""
    if not _DECIMAL.fullmatch(text) or len(text.partition(".")[2].rstrip("0")) > places:
        return None
    return Decimal(text) or None


def _wallets(
    tree: dict[str, Any], network: str | None, networks: tuple[str, ...] | None
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    addresses = form.mapping(tree, "wallet_addresses")
    if not addresses:
        return {}, {}
    wallets: dict[str, str] = {}
    tags: dict[str, str] = {}
    for key in addresses:
        if key == "destination_tags":
            tag_tree = form.mapping(addresses, key, "wallet_addresses")
            form.require_known(tag_tree, ("stellar",), "wallet_addresses[destination_tags]")
            tags = {name: form.text(tag_tree, name, "wallet_addresses[destination_tags]") or "" for name in tag_tree}
            continue
        form.require_known({key: ""}, NETWORK_OF_KEY, "wallet_addresses")
        wallets[key] = form.text(addresses, key, "wallet_addresses") or ""
    allowed = networks if networks is not None else NETWORKS if network is not None else ()
    for key, address in wallets.items():
        if NETWORK_OF_KEY[key] not in allowed:
            raise bad(
                "crypto_onramp_wallet_addresses_not_all_networks_supported",
                f"The network of wallet_addresses[{key}] is not among destination_networks.",
                "wallet_addresses",
            )
        if not _ADDRESSES[NETWORK_OF_KEY[key]].fullmatch(address):
            raise bad(
                "crypto_onramp_wallet_address_invalid",
                f"This is not an address on {NETWORK_OF_KEY[key]}.",
                f"wallet_addresses[{key}]",
            )
    return wallets, tags


def valid_address(network: str, address: str) -> bool:
    """Return whether `address` has the form of an address on `network`."""
    pattern = _ADDRESSES.get(network)
    return pattern is not None and pattern.fullmatch(address) is not None


def _metadata(tree: dict[str, Any]) -> Mapping[str, str]:
    metadata = form.mapping(tree, "metadata")
    if len(metadata) > 50:
        raise bad(None, "You can have at most 50 metadata keys.", "metadata")
    for key, value in metadata.items():
        name = f"metadata[{key}]"
        if not isinstance(value, str):
            raise bad(None, "Metadata values are strings.", name)
        if len(key) > 40 or len(value) > 500:
            raise bad(None, "Metadata keys have at most 40 characters, values 500.", name)
    return {key: value for key, value in metadata.items() if value}
