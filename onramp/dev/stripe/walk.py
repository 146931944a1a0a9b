"""The life of a session: which moves are legal, and what Stripe knows after each."""

import secrets
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from onramp.dev.stripe.config import SandboxConfig
from onramp.dev.stripe.coverage import DECIMALS, PAIRS, WALLET_KEYS, rate, written
from onramp.dev.stripe.errors import bad
from onramp.dev.stripe.params import amount, valid_address
from onramp.dev.stripe.quotes import CENT, fees
from onramp.dev.stripe.session import Session

ORDER: Final = ("initialized", "requires_payment", "fulfillment_processing", "fulfillment_complete")
REJECTED: Final = "rejected"


@dataclass(frozen=True, slots=True)
class Edits:
    """What the buyer settles on the way, or Stripe delivers otherwise than asked; None leaves it as it is.

    A text that is no amount is put in as given, so that a test can see how a client takes nonsense. What is locked or
    pinned cannot be changed on the hosted page; the sandbox's controls may, for a test of what must not happen.
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


def path(current: str, target: str) -> tuple[str, ...]:
    """The states to pass through, `target` last. Raises StripeError where no legal way leads there.

    Whether a paid session can still be rejected is not documented; it can be here, for the client has to cope.
    """
    if target == REJECTED and current in ORDER[:-1]:
        return (REJECTED,)
    if current in ORDER and target in ORDER and ORDER.index(target) > ORDER.index(current):
        return ORDER[ORDER.index(current) + 1 : ORDER.index(target) + 1]
    raise bad("sandbox_illegal_move", f"A session does not go from {current} to {target}.", "status")


def step(session: Session, status: str, edits: Edits, config: SandboxConfig) -> None:
    """One move, and what is known after it."""
    details = session["transaction_details"]
    if edits.livemode is not None:
        session["livemode"] = edits.livemode
    moved = edits.destination_network not in {None, details["destination_network"]}
    for name in ("source_currency", "destination_currency", "destination_network", "wallet_address"):
        if (value := getattr(edits, name)) is not None:
            details[name] = value
    if moved and edits.wallet_address is None:
        _moved(session)
    if status != REJECTED:
        _chosen(session, config)
    if edits.source_amount is not None:
        details["source_amount"] = _plain(edits.source_amount, 2)
    if status in ORDER[2:]:
        _priced(session, edits)
    if edits.destination_amount is not None:
        places = DECIMALS.get(details["destination_currency"], 18)
        details["destination_amount"] = _plain(edits.destination_amount, places)
    if status == ORDER[-1]:
        details["transaction_id"] = edits.transaction_id or "0x" + secrets.token_hex(32)
    session["status"] = status


def _moved(session: Session) -> None:
    """On another network the buyer's wallet is the one named for it; an address that is valid there, too, may stay."""
    details = session["transaction_details"]
    network = details["destination_network"]
    named = (details["wallet_addresses"] or {}).get(WALLET_KEYS.get(network, network))
    if named is None and valid_address(network, details["wallet_address"] or ""):
        return
    details["wallet_address"] = named


def _chosen(session: Session, config: SandboxConfig) -> None:
    """A buyer at the payment has chosen currency, network and wallet; the defaults where nothing was said."""
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
    """What is offered first: the account's default where the session allows it, else its first pair that exists."""
    found = pairs(session)
    default = (config.default_currency, config.default_network)
    return default if default in found else found[0]


def pairs(session: Session) -> list[tuple[str, str]]:
    """Every currency and network that the buyer may choose."""
    details = session["transaction_details"]
    return [
        (currency, network)
        for currency in details["destination_currencies"]
        for network in details["destination_networks"]
        if network in PAIRS[currency]
    ]


def _priced(session: Session, edits: Edits) -> None:
    """The amounts of the payment: one USDC for a dollar, fees on top."""
    details = session["transaction_details"]
    price = rate(details["source_currency"], details["destination_currency"])
    bought = amount(details["destination_amount"] or "", 18)
    if details["source_amount"] is None:
        details["source_amount"] = f"{(bought / price).quantize(CENT):.2f}" if bought is not None else "100.00"
    source = amount(details["source_amount"], 2) or Decimal(0)
    if details["destination_amount"] is None or edits.source_amount is not None:
        details["destination_amount"] = written(source * price, details["destination_currency"])
    network_fee, transaction_fee = fees(source, details["destination_network"])
    details["fees"] = {"network_fee_amount": f"{network_fee:.2f}", "transaction_fee_amount": f"{transaction_fee:.2f}"}


def _plain(text: str, places: int) -> str:
    value = amount(text, places)
    return text if value is None else f"{value:.{places}f}"
