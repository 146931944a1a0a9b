"""A quote in the shape of the outside."""

from kit.http.documents import Document
from onramp.sessions.schemas import Amount, Currency


class QuoteQuery(Document):
    """What a quote is asked for."""

    source_amount: Amount
    source_currency: Currency


class Fees(Document):
    """`network` and `transaction` in the source currency, on top of the amount; `payout` in MUSD, kept back from it."""

    network: str
    transaction: str
    payout: str


class QuoteResponse(Document):
    """An estimate; the purchase itself decides."""

    source_amount: str
    source_currency: str
    destination_amount: str
    destination_currency: str
    fees: Fees
    total: str
    musd_amount: str
