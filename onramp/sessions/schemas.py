"""Request and response models of sessions: camelCase, amounts as decimal text, addresses in EIP-55."""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, GetPydanticSchema, WithJsonSchema
from pydantic_core import core_schema

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.money import Money, format_units, parse_units
from onramp.sessions import buyer_context
from onramp.sessions.model import FIAT_DECIMALS, Session
from onramp.sessions.status import DeliveryStatus, PaymentStatus, SessionStatus
from treasury.core.assets import MUSD_DECIMALS, USDC_DECIMALS

MAX_AMOUNT_LENGTH: Final = 40
CURRENCIES: Final = ("usd", "eur")
"""The currencies in which a purchase may be paid."""


def _parse_fiat(text: str) -> int:
    if len(text) > MAX_AMOUNT_LENGTH:
        raise ValueError("must be a plain decimal number such as 100 or 99.50")
    minor = parse_units(text, FIAT_DECIMALS)
    if minor == 0:
        raise ValueError("must be more than zero")
    return minor


def source_currency(text: str) -> str:
    """Return the currency in lower case. Raises ValueError for one that is not sold."""
    if text.lower() not in CURRENCIES:
        raise ValueError(f"must be {' or '.join(CURRENCIES)}")
    return text.lower()


def email_address(text: str) -> str:
    """Return the text. Raises ValueError if it cannot be an e-mail address. Whether the mailbox exists is not checked."""
    has_no_space = text.isprintable() and " " not in text
    if (
        not 3 <= len(text) <= 254
        or not has_no_space
        or text.count("@") != 1
        or text.startswith("@")
        or text.endswith("@")
    ):
        raise ValueError("must be an e-mail address")
    return text


FiatAmount = Annotated[
    int,
    GetPydanticSchema(
        lambda _source, _handler: core_schema.no_info_after_validator_function(
            _parse_fiat, core_schema.str_schema(strict=True)
        )
    ),
]
"""An amount of fiat money: decimal text such as `99.50` in JSON, hundredths as a value."""
Currency = Annotated[str, AfterValidator(source_currency)]


def _one_of(values: Iterable[str]) -> WithJsonSchema:
    """Return the schema of the allowed values of a text that we write ourselves, and that needs no validation."""
    return WithJsonSchema({"type": "string", "enum": [str(value) for value in values]})


PurchaseStatusText = Annotated[str, _one_of(SessionStatus)]
PaymentStatusText = Annotated[str, _one_of(PaymentStatus)]
DeliveryStatusText = Annotated[str, _one_of(DeliveryStatus)]
Mode = Annotated[str, _one_of(("payout", "observe"))]


class CreateSession(Document):
    """The body of a create request."""

    wallet_address: str = Field(description="Where to send the MUSD; a mixed-case address must have a valid checksum.")
    source_amount: FiatAmount = Field(description="What the buyer spends, before fees, as decimal text.")
    source_currency: Currency = Field(description="`usd` or `eur`.")
    email: Annotated[str, AfterValidator(email_address)] | None = Field(
        default=None, description="The buyer's e-mail address. It is stored encrypted and never returned."
    )
    reference: Annotated[str, AfterValidator(buyer_context.reference)] | None = Field(
        default=None,
        description="The dApp's own name for this purchase, such as an order's id: 1 to 200 printable characters without `<` and `>`."
        " Anyone who holds the session's id can read it, so it must not contain personal data.",
    )
    return_url: Annotated[str, AfterValidator(buyer_context.return_url)] | None = Field(
        default=None,
        description="Where the checkout page leads the buyer back to: a URL of at most 2048 characters whose origin is in `ALLOWED_ORIGINS`.",
    )
    locale: Annotated[str, AfterValidator(buyer_context.locale)] | None = Field(
        default=None,
        description="The buyer's language as a BCP 47 tag, such as `de-CH`. Its language must be one of the configuration's `locales`.",
    )

    @property
    def source(self) -> Money:
        """The amount that the buyer spends."""
        return Money(self.source_amount, self.source_currency, FIAT_DECIMALS)


class Payment(Document):
    """The payment of a session, with its status as Stripe names it."""

    status: PaymentStatusText
    stripe_session_id: str | None
    destination_amount: str | None = Field(description="What Stripe delivered; null until then.")
    destination_currency: str
    destination_network: str
    updated_at: str


class Delivery(Document):
    """The delivery of MUSD, as the chain shows it."""

    status: DeliveryStatusText
    reason: str | None = Field(
        description="Why it waits: `waiting_for_second_node`, `chain_paused`, `payouts_paused`, `awaiting_approval`, `screening`,"
        " `insufficient` or `reorg`; null if nothing holds it."
    )
    mode: Mode
    expected_amount: str | None = Field(description="MUSD that the buyer is owed; null until the payment is complete.")
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
    status: PurchaseStatusText = Field(
        description="The state of the purchase, for people. `completed` is final. `rejected` and `expired` are final unless money"
        " arrives later, which is honoured. `attention`: paid, but late or wrong; an operator is alerted, and it may still complete."
    )
    payment: Payment
    delivery: Delivery
    version: int = Field(
        description="Orders the states of this session: each change of what this document shows increases it. Ignore a state with a smaller one."
    )
    reference: str | None = Field(description="As given at creation.")
    return_url: str | None = Field(description="As given at creation.")
    locale: str | None = Field(description="As given at creation, in the usual case, such as `pt-BR`.")
    redirect_url: str | None = Field(description="Stripe's own page for this purchase; returned to the creator only.")
    created_at: str
    updated_at: str
    expires_at: str


class SessionEvent(Document):
    """One event of a session's stream, as a browser's `EventSource` passes it on."""

    id: str = Field(pattern="^[1-9][0-9]*$", description="The session's `version`.")
    event: Literal["session"]
    data: Annotated[
        str,
        WithJsonSchema(
            {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": "#/components/schemas/SessionResponse"},
                "description": "The session at that moment: a SessionResponse as JSON, on one line.",
            }
        ),
    ]


class CreatedSession(SessionResponse):
    """A session as its creator sees it, in the response to create and in its replay."""

    client_secret: str | None = Field(
        description="For Stripe's component. It is returned nowhere else and never stored."
    )
    publishable_key: str = Field(description="For Stripe's component.")


def optional_units(amount: int | None, decimals: int) -> str | None:
    """Return base units as decimal text; None for None."""
    return None if amount is None else format_units(amount, decimals)


def explorer_link(base: str | None, tx_hash: str | None) -> str | None:
    """Return the block explorer's URL of a transaction; None without an explorer or a transaction."""
    return f"{base}/tx/{tx_hash}" if base and tx_hash else None


def session_json(session: Session, explorer: str | None) -> dict[str, Any]:
    """Return a session in the shape of `SessionResponse`, without what only its creator may see.

    A plain dictionary: we made every value ourselves, and validating them again cost as much as reading the row.
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
            "updatedAt": rfc3339(session.payment_updated_at),
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
            "updatedAt": rfc3339(session.delivery_updated_at),
        },
        "version": session.version,
        "reference": session.reference,
        "returnUrl": session.return_url,
        "locale": session.locale,
        "redirectUrl": None,
        "createdAt": rfc3339(session.created_at),
        "updatedAt": rfc3339(session.updated_at),
        "expiresAt": rfc3339(session.expires_at),
    }


def session_response(session: Session, explorer: str | None) -> SessionResponse:
    """Return a session as a validated `SessionResponse`."""
    return SessionResponse.model_validate(session_json(session, explorer))


def created_session_json(
    session: Session, explorer: str | None, *, client_secret: str | None, redirect_url: str | None, publishable_key: str
) -> dict[str, Any]:
    """Return a session in the shape of `CreatedSession`, for its creator."""
    return session_json(session, explorer) | {
        "redirectUrl": redirect_url,
        "clientSecret": client_secret,
        "publishableKey": publishable_key,
    }
