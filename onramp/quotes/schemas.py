"""Request and response models of quotes."""

from kit.http.documents import Document
from kit.money import Money
from onramp.sessions.model import FIAT_DECIMALS
from onramp.sessions.schemas import Currency, FiatAmount


class QuoteQuery(Document):
    """The query of a quote."""

    source_amount: FiatAmount
    source_currency: Currency

    @property
    def source(self) -> Money:
        """The amount that the buyer would spend."""
        return Money(self.source_amount, self.source_currency, FIAT_DECIMALS)


class Fees(Document):
    """The fees of an estimate.

    `network` and `transaction` are in the source currency, in addition to the amount; `payout` is in MUSD, deducted from what is delivered.
    """

    network: str
    transaction: str
    payout: str


class QuoteResponse(Document):
    """An estimate; what the completed purchase delivers may differ."""

    source_amount: str
    source_currency: str
    destination_amount: str
    destination_currency: str
    fees: Fees
    total: str
    musd_amount: str
