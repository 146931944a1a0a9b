"""Models of Stripe's replies, limited to the fields that are used: unknown fields are ignored, wrong types are errors."""

from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from onramp.stripe.port import NETWORK_KEYS, StripeQuote, StripeSession


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _Details(_Reply):
    wallet_address: str | None = None
    wallet_addresses: dict[str, Any] | None = None
    lock_wallet_address: bool | None = None
    source_amount: str | None = None
    source_currency: str | None = None
    destination_amount: str | None = None
    destination_currency: str | None = None
    destination_currencies: list[str] | None = None
    destination_network: str | None = None
    destination_networks: list[str] | None = None


class SessionReply(_Reply):
    """Stripe's object `crypto.onramp_session`."""

    id: str = Field(min_length=1, max_length=255)
    status: str = Field(max_length=64)
    created: int
    livemode: bool
    client_secret: str | None = Field(default=None, repr=False)
    redirect_url: str | None = Field(default=None, repr=False)
    metadata: dict[str, str] | None = None
    transaction_details: _Details = Field(default_factory=_Details)

    def value(self) -> StripeSession:
        """Return the session as the port defines it."""
        details = self.transaction_details
        wallets = {key: item for key, item in (details.wallet_addresses or {}).items() if isinstance(item, str)}
        return StripeSession(
            id=self.id,
            status=self.status,
            created=self.created,
            livemode=self.livemode,
            client_secret=self.client_secret,
            redirect_url=self.redirect_url,
            metadata=self.metadata,
            wallet_address=details.wallet_address,
            wallet_addresses=wallets,
            lock_wallet_address=details.lock_wallet_address,
            source_amount=details.source_amount,
            source_currency=details.source_currency,
            destination_amount=details.destination_amount,
            destination_currency=details.destination_currency,
            destination_currencies=tuple(details.destination_currencies or ()),
            destination_network=details.destination_network,
            destination_networks=tuple(details.destination_networks or ()),
        )


class ListReply(_Reply):
    """Stripe's list of sessions, each unparsed: one of an unexpected shape must not hide the others."""

    has_more: bool
    data: list[dict[str, Any]]

    @property
    def after(self) -> str | None:
        """The id after which the next page begins; None at the end."""
        last = self.data[-1].get("id") if self.has_more and self.data else None
        return last if isinstance(last, str) else None


class _Fees(_Reply):
    # Stripe uses two names: the first in quotes, the second in sessions.
    network_fee_monetary: str | None = None
    network_fee_amount: str | None = None
    transaction_fee_monetary: str | None = None
    transaction_fee_amount: str | None = None

    @property
    def network(self) -> str:
        return self.network_fee_monetary or self.network_fee_amount or "0.00"

    @property
    def transaction(self) -> str:
        return self.transaction_fee_monetary or self.transaction_fee_amount or "0.00"


class _Quote(_Reply):
    destination_amount: str
    destination_currency: str
    destination_network: str
    fees: _Fees
    source_total_amount: str


class QuotesReply(_Reply):
    """Stripe's reply to a request for quotes, by network."""

    destination_network_quotes: dict[str, list[_Quote] | None]

    def value(self, currency: str, network: str) -> StripeQuote | None:
        """Return the quote for one pair of currency and network; None if Stripe has none."""
        quotes = self.destination_network_quotes.get(NETWORK_KEYS.get(network, network)) or []
        for quote in quotes:
            if quote.destination_currency == currency:
                return StripeQuote(
                    destination_amount=_decimal_text(quote.destination_amount),
                    network_fee=_decimal_text(quote.fees.network, 2),
                    transaction_fee=_decimal_text(quote.fees.transaction, 2),
                    total=_decimal_text(quote.source_total_amount, 2),
                )
        return None


def _decimal_text(text: str, places: int | None = None) -> str:
    """Return decimal text without an exponent, with at least `places` decimal places if set."""
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ValueError("not a decimal number") from error
    if places is not None and -value.as_tuple().exponent < places:  # type: ignore[operator] # finite, so the exponent is a number
        value = value.quantize(Decimal(1).scaleb(-places))
    return f"{value:f}"
