"""A session in the shape of the outside: camelCase, money as decimal text, addresses in EIP-55."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from kit.clock import rfc3339
from kit.http.routes import Document
from kit.money import format_units, parse_units
from onramp.sessions.model import MUSD_DECIMALS, USDC_DECIMALS, Session

FIAT_DECIMALS = 2


def _amount(text: str) -> str:
    if len(text) > 40:
        message = "must be a plain decimal number such as 100 or 99.50"
        raise ValueError(message)
    if parse_units(text, FIAT_DECIMALS) == 0:
        message = "must be more than zero"
        raise ValueError(message)
    return text


def _currency(text: str) -> str:
    if text.lower() not in {"usd", "eur"}:
        message = "must be usd or eur"
        raise ValueError(message)
    return text.lower()


def email_address(text: str) -> str:
    """The text, or ValueError; whether anybody reads it is not asked."""
    if not 3 <= len(text) <= 254 or text.count("@") != 1 or text.startswith("@") or text.endswith("@"):
        message = "must be an e-mail address"
        raise ValueError(message)
    return text


Amount = Annotated[str, AfterValidator(_amount)]
Currency = Annotated[str, AfterValidator(_currency)]


class CreateSession(Document):
    """What a dApp asks for."""

    wallet_address: str = Field(description="Where the MUSD shall go; a checksum is checked where letters are mixed.")
    source_amount: Amount = Field(description="What the buyer spends, before fees, as decimal text.")
    source_currency: Currency
    email: Annotated[str, AfterValidator(email_address)] | None = None


class Payment(Document):
    """The payment axis, in Stripe's own words."""

    status: str
    stripe_session_id: str | None
    destination_amount: str | None
    destination_currency: str
    destination_network: str
    updated_at: str


class Delivery(Document):
    """The delivery axis: what the chain says."""

    status: str
    reason: str | None
    mode: str
    expected_amount: str | None
    tx_hash: str | None
    confirmations: int
    overdue: bool
    explorer_url: str | None
    updated_at: str


class SessionAnswer(Document):
    """A session as anyone who holds its id may see it."""

    id: str
    wallet_address: str
    source_amount: str
    source_currency: str
    status: str
    payment: Payment
    delivery: Delivery
    redirect_url: str | None
    created_at: str
    updated_at: str
    expires_at: str


class CreatedSession(SessionAnswer):
    """What the creator alone gets, in the answer and in its replay."""

    client_secret: str | None
    publishable_key: str


def optional_units(amount: int | None, decimals: int) -> str | None:
    """An amount as text, or null where it is not known."""
    return None if amount is None else format_units(amount, decimals)


def moment(value: datetime) -> str:
    """A time for the outside."""
    return rfc3339(value)


def explorer_link(base: str | None, tx_hash: str | None) -> str | None:
    """Where a person looks a transaction up, where the chain has an explorer."""
    return f"{base}/tx/{tx_hash}" if base and tx_hash else None


def document(session: Session, explorer: str | None) -> dict[str, Any]:
    """A session as `SessionAnswer` describes it, without anything that belongs to the creator alone.

    A plain dictionary: what we wrote ourselves needs no checking on its way out, and checking it cost as much as reading it.
    """
    return {
        "id": session.id,
        "walletAddress": session.wallet_address,
        "sourceAmount": format_units(session.source_minor, FIAT_DECIMALS),
        "sourceCurrency": session.source_currency,
        "status": session.status,
        "payment": {
            "status": session.payment_status,
            "stripeSessionId": session.stripe_session_id,
            "destinationAmount": optional_units(session.delivered_units, USDC_DECIMALS),
            "destinationCurrency": session.destination_currency,
            "destinationNetwork": session.destination_network,
            "updatedAt": moment(session.payment_updated_at),
        },
        "delivery": {
            "status": session.delivery_status,
            "reason": session.delivery_reason,
            "mode": session.mode,
            "expectedAmount": optional_units(session.expected_units, MUSD_DECIMALS),
            "txHash": session.tx_hash,
            "confirmations": session.confirmations,
            "overdue": session.overdue,
            "explorerUrl": explorer_link(explorer, session.tx_hash),
            "updatedAt": moment(session.delivery_updated_at),
        },
        "redirectUrl": None,
        "createdAt": moment(session.created_at),
        "updatedAt": moment(session.updated_at),
        "expiresAt": moment(session.expires_at),
    }


def answer(session: Session, explorer: str | None) -> SessionAnswer:
    """The same, checked."""
    return SessionAnswer.model_validate(document(session, explorer))


def created(
    session: Session, explorer: str | None, *, client_secret: str | None, redirect_url: str | None, publishable_key: str
) -> dict[str, Any]:
    """As `CreatedSession` describes it, for the creator."""
    return document(session, explorer) | {
        "redirectUrl": redirect_url,
        "clientSecret": client_secret,
        "publishableKey": publishable_key,
    }
