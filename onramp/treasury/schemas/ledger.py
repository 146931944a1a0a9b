"""Request and response models of the ledger: accounts and postings, with amounts in units of the asset."""

from collections.abc import Mapping

from pydantic import Field

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.http.paging import NumberQuery
from kit.money import format_units
from treasury.ledger.model import Posting
from treasury.ledger.states import Account


class LedgerQuery(NumberQuery):
    """The query of a page of the ledger."""


class AccountsResponse(Document):
    """The accounts of one asset. Their sum is zero; the sum of `available`, `held` and `inFlight` is the balance of `wallet`."""

    wallet: str
    asset: str
    available: str
    held: str
    in_flight: str
    cold: str
    paid_out: str
    gas: str
    external_in: str
    suspense: str
    receivable: str
    sold: str
    settled: str


class PostingResponse(Document):
    """One amount that moved from one account to another; `subject` is the id of the payout, sweep, transaction or session, or the wallet."""

    id: int
    wallet: str
    asset: str
    amount: str
    kind: str
    from_account: str = Field(alias="from")
    to_account: str = Field(alias="to")
    subject: str
    block_number: int | None
    by: str
    note: str
    at: str


class LedgerPage(Document):
    """The balance of every account now, and a page of postings, the newest first.

    `earlier` are the accounts of earlier hot wallets that are not empty.
    """

    accounts: list[AccountsResponse]
    earlier: list[AccountsResponse]
    data: list[PostingResponse]
    next_cursor: str | None


def accounts(wallet: str, asset: str, balances: Mapping[Account, int], decimals: int) -> AccountsResponse:
    """Return the response for one asset's accounts; a missing account is zero."""
    return AccountsResponse(
        wallet=wallet,
        asset=asset,
        **{account.value: format_units(balances.get(account, 0), decimals) for account in Account},
    )


def posting(row: Posting, decimals: int) -> PostingResponse:
    """Return the response for one posting; `decimals` are those of its asset."""
    return PostingResponse(
        id=row.id,
        wallet=row.wallet,
        asset=row.asset,
        amount=format_units(row.amount, decimals),
        kind=row.kind,
        from_account=row.from_account,
        to_account=row.to_account,
        subject=row.subject,
        block_number=row.block_number,
        by=row.actor,
        note=row.note,
        at=rfc3339(row.at),
    )
