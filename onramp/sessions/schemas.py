"""A session in the shape of the outside: camelCase, money as decimal text, addresses in EIP-55."""

from datetime import datetime
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, Field, WithJsonSchema

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.money import format_units, parse_units
from onramp.sessions.model import Session
from onramp.sessions.states import PaymentStatus
from treasury.core.assets import MUSD_DECIMALS, USDC_DECIMALS

FIAT_DECIMALS = 2


def _amount(text: str) -> str:
    if len(text) > 40:
        message = "must be a plain decimal number such as 100 or 99.50"
        raise ValueError(message)
    if parse_units(text, FIAT_DECIMALS) == 0:
        message = "must be more than zero"
        raise ValueError(message)
    return text


def source_currency(text: str) -> str:
    """The currency in lower case, or ValueError for one that is not sold."""
    if text.lower() not in {"usd", "eur"}:
        message = "must be usd or eur"
        raise ValueError(message)
    return text.lower()


def email_address(text: str) -> str:
    """The text, or ValueError; whether anybody reads it is not asked."""
    is_word = text.isprintable() and " " not in text
    if not 3 <= len(text) <= 254 or not is_word or text.count("@") != 1 or text.startswith("@") or text.endswith("@"):
        message = "must be an e-mail address"
        raise ValueError(message)
    return text


Amount = Annotated[str, AfterValidator(_amount)]
Currency = Annotated[str, AfterValidator(source_currency)]


def _one_of(*words: str) -> WithJsonSchema:
    """Documented as one of these words; what we wrote ourselves is not checked again."""
    return WithJsonSchema({"type": "string", "enum": words})


Status = Annotated[
    str, _one_of("awaiting_payment", "processing", "delivering", "completed", "rejected", "expired", "attention")
]
PaidStatus = Annotated[str, _one_of(*get_args(PaymentStatus))]
DeliveryStatus = Annotated[str, _one_of("awaiting", "seen", "confirmed", "mismatch")]
Mode = Annotated[str, _one_of("payout", "observe")]


class CreateSession(Document):
    """What a dApp asks for."""

    wallet_address: str = Field(description="Where the MUSD shall go; a checksum is checked where letters are mixed.")
    source_amount: Amount = Field(description="What the buyer spends, before fees, as decimal text.")
    source_currency: Currency = Field(description="`usd` or `eur`.")
    email: Annotated[str, AfterValidator(email_address)] | None = Field(
        default=None, description="The buyer's, stored encrypted and answered nowhere."
    )


class Payment(Document):
    """The payment axis, in Stripe's own words."""

    status: PaidStatus
    stripe_session_id: str | None
    destination_amount: str | None = Field(description="What Stripe delivered; null before.")
    destination_currency: str
    destination_network: str
    updated_at: str


class Delivery(Document):
    """The delivery axis: what the chain says."""

    status: DeliveryStatus
    reason: str | None = Field(
        description="Why it waits: `waiting_for_second_node`, `chain_paused`, `payouts_paused`, `awaiting_approval`, `screening`,"
        " `insufficient` or `reorg`; null where nothing holds it."
    )
    mode: Mode
    expected_amount: str | None = Field(description="MUSD that the buyer is owed; null before the payment is complete.")
    tx_hash: str | None
    confirmations: int
    overdue: bool
    explorer_url: str | None
    updated_at: str


class SessionResponse(Document):
    """A session as anyone who holds its id may see it."""

    id: str
    wallet_address: str
    source_amount: str
    source_currency: str
    status: Status = Field(
        description="Where it stands, for people. `completed` is the end, `rejected` and `expired` almost: money that comes later is"
        " honoured. `attention`: paid, and late or wrong; a person is told, and it may still complete."
    )
    payment: Payment
    delivery: Delivery
    redirect_url: str | None = Field(description="Stripe's own page for it; to the creator alone.")
    created_at: str
    updated_at: str
    expires_at: str


class CreatedSession(SessionResponse):
    """What the creator alone gets, in the answer and in its replay."""

    client_secret: str | None = Field(description="For Stripe's component; nowhere else, and never stored.")
    publishable_key: str = Field(description="For Stripe's component, too.")


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
    """A session as `SessionResponse` describes it, without anything that belongs to the creator alone.

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


def answer(session: Session, explorer: str | None) -> SessionResponse:
    """The same, checked."""
    return SessionResponse.model_validate(document(session, explorer))


def created(
    session: Session, explorer: str | None, *, client_secret: str | None, redirect_url: str | None, publishable_key: str
) -> dict[str, Any]:
    """As `CreatedSession` describes it, for the creator."""
    return document(session, explorer) | {
        "redirectUrl": redirect_url,
        "clientSecret": client_secret,
        "publishableKey": publishable_key,
    }
