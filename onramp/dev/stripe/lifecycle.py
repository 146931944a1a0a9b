"""A session's statuses: the legal transitions, and the fields that Stripe fills in at each."""

import secrets
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from onramp.dev.stripe.config import SandboxConfig
from onramp.dev.stripe.coverage import DECIMALS, PAIRS, WALLET_KEYS, format_crypto, rate
from onramp.dev.stripe.errors import bad
from onramp.dev.stripe.params import amount, valid_address
from onramp.dev.stripe.quotes import CENT, fees
from onramp.dev.stripe.session import Session

ORDER: Final = ("initialized", "requires_payment", "fulfillment_processing", "fulfillment_complete")
REJECTED: Final = "rejected"


@dataclass(frozen=True, slots=True)
class Edits:
    """Fields that the buyer chooses, or that Stripe delivers differently from the request; None leaves a field as it is.

    Text that is not an amount is stored unchanged, so that a test can see how a client handles it. The hosted page cannot
    change locked fields; the sandbox's controls can, to test what must not happen.
    """

    source_amount: str | None = None
    source_currency: str | None = None
    destination_amount: str | None = None
    destination_currency: str | None = None
    destination_network: str | None = None
    wallet_address: str | None = None
    transaction_id: str | None = None
    livemode: bool | None = None


NO_EDITS: Final = Edits()


def statuses_between(current: str, target: str) -> tuple[str, ...]:
    """Return the statuses to pass through, `target` last. Raises StripeError if no legal transition leads there.

    Stripe does not document whether a paid session can still be rejected; here it can, because clients must handle it.
    """
    if target == REJECTED and current in ORDER[:-1]:
        return (REJECTED,)
    if current in ORDER and target in ORDER and ORDER.index(target) > ORDER.index(current):
        return ORDER[ORDER.index(current) + 1 : ORDER.index(target) + 1]
    raise bad("sandbox_illegal_move", f"A session does not go from {current} to {target}.", "status")


def apply_status(session: Session, status: str, edits: Edits, config: SandboxConfig) -> None:
    """Move a session to the next status and fill in the fields that are known from then on."""
    details = session["transaction_details"]
    if edits.livemode is not None:
        session["livemode"] = edits.livemode
    has_other_network = edits.destination_network not in {None, details["destination_network"]}
    for name in ("source_currency", "destination_currency", "destination_network", "wallet_address"):
        if (value := getattr(edits, name)) is not None:
            details[name] = value
    if has_other_network and edits.wallet_address is None:
        _replace_wallet(session)
    if status != REJECTED:
        _fill_in_choices(session, config)
    if edits.source_amount is not None:
        details["source_amount"] = _normalized(edits.source_amount, 2)
    if status in ORDER[2:]:
        _fill_in_amounts(session, edits)
    if edits.destination_amount is not None:
        places = DECIMALS.get(details["destination_currency"], 18)
        details["destination_amount"] = _normalized(edits.destination_amount, places)
    if status == ORDER[-1]:
        details["transaction_id"] = edits.transaction_id or "0x" + secrets.token_hex(32)
    session["status"] = status


def _replace_wallet(session: Session) -> None:
    """Use the wallet that the request names for the new network; without one, keep an address that is valid there, too."""
    details = session["transaction_details"]
    network = details["destination_network"]
    address = (details["wallet_addresses"] or {}).get(WALLET_KEYS.get(network, network))
    if address is None and valid_address(network, details["wallet_address"] or ""):
        return
    details["wallet_address"] = address


def _fill_in_choices(session: Session, config: SandboxConfig) -> None:
    """Fill in currency, network and wallet with defaults where the buyer has not chosen."""
    details = session["transaction_details"]
    if details["destination_currency"] is None or details["destination_network"] is None:
        currency, network = first_pair(session, config)
        details["destination_currency"] = details["destination_currency"] or currency
        details["destination_network"] = details["destination_network"] or network
    details["source_currency"] = details["source_currency"] or "usd"
    if details["wallet_address"] is None:
        network = details["destination_network"]
        details["wallet_address"] = (details["wallet_addresses"] or {}).get(WALLET_KEYS.get(network, network))


def first_pair(session: Session, config: SandboxConfig) -> tuple[str, str]:
    """Return the currency and network offered first: the account's default if the session allows it, else its first existing pair."""
    allowed = pairs(session)
    default = (config.default_currency, config.default_network)
    return default if default in allowed else allowed[0]


def pairs(session: Session) -> list[tuple[str, str]]:
    """Return every pair of currency and network that the buyer may choose."""
    details = session["transaction_details"]
    return [
        (currency, network)
        for currency in details["destination_currencies"]
        for network in details["destination_networks"]
        if network in PAIRS[currency]
    ]


def _fill_in_amounts(session: Session, edits: Edits) -> None:
    """Fill in the amounts of the payment: one USDC for a dollar, with the fees added."""
    details = session["transaction_details"]
    price = rate(details["source_currency"], details["destination_currency"])
    bought = amount(details["destination_amount"] or "", 18)
    if details["source_amount"] is None:
        details["source_amount"] = f"{(bought / price).quantize(CENT):.2f}" if bought is not None else "100.00"
    source = amount(details["source_amount"], 2) or Decimal(0)
    if details["destination_amount"] is None or edits.source_amount is not None:
        details["destination_amount"] = format_crypto(source * price, details["destination_currency"])
    network_fee, transaction_fee = fees(source, details["destination_network"])
    details["fees"] = {"network_fee_amount": f"{network_fee:.2f}", "transaction_fee_amount": f"{transaction_fee:.2f}"}


def _normalized(text: str, places: int) -> str:
    value = amount(text, places)
    return text if value is None else f"{value:.{places}f}"
