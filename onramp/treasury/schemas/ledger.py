"""The ledger in the shapes of the outside: accounts on top, movements below, money in units of the asset."""

from collections.abc import Mapping

from pydantic import Field

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.money import format_units
from onramp.treasury.schemas.settlements import SettlementResponse
from treasury.incidents.model import UnmatchedTransaction
from treasury.ledger.model import Posting
from treasury.ledger.states import Account
from treasury.reconciliation import Difference


class LedgerQuery(Document):
    """A page of the ledger."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: int | None = Field(default=None, ge=1, le=2**62)


class AccountsResponse(Document):
    """One asset's accounts. Together they are zero; `available`, `held` and `inFlight` together are what `wallet` holds."""

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
    """One amount that went from one account to another; `subject` is what moved it."""

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
    """Every account as it is now, and the newest movements first; `earlier`: wallets paid from before, with anything left."""

    accounts: list[AccountsResponse]
    earlier: list[AccountsResponse]
    data: list[PostingResponse]
    next_cursor: str | None


def accounts(wallet: str, asset: str, found: Mapping[Account, int], decimals: int) -> AccountsResponse:
    """One asset."""
    return AccountsResponse(
        wallet=wallet,
        asset=asset,
        **{account.value: format_units(found.get(account, 0), decimals) for account in Account},
    )


def posting(row: Posting, decimals: int) -> PostingResponse:
    """One movement."""
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


class DifferenceResponse(Document):
    """One asset. `change` is what this look found: above zero it came in, below it is gone; `suspense`: all that is unexplained."""

    asset: str
    on_chain: str
    change: str
    suspense: str


class ForeignResponse(Document):
    """A nonce of the hot wallet that no row explains; `txHash` is null while its transaction is not found."""

    id: str
    nonce: int
    tx_hash: str | None
    to: str | None
    note: str
    noticed_at: str
    answered_by: str | None


class Reconciliation(Document):
    """Ledger against chain at one block. `agrees` is false while anything is unexplained, or USDC was settled that its chain contradicts.

    `earlier`: what the ledger still has of wallets paid from before, which are compared no more.
    """

    agrees: bool
    block_number: int
    data: list[DifferenceResponse]
    unexplained: list[ForeignResponse]
    settlements: list[SettlementResponse] = Field(
        description="Of USDC: those that wait for a second person, that its chain has not shown, or that it contradicts."
    )
    earlier: list[AccountsResponse]
    next_cursor: str | None = None


def difference(found: Difference, decimals: int) -> DifferenceResponse:
    """One asset."""
    return DifferenceResponse(
        asset=found.asset,
        on_chain=format_units(found.on_chain, decimals),
        change=format_units(found.change, decimals),
        suspense=format_units(found.suspense, decimals),
    )


def unexplained(row: UnmatchedTransaction) -> ForeignResponse:
    """One nonce."""
    return ForeignResponse(
        id=row.id,
        nonce=row.nonce,
        tx_hash=row.tx_hash,
        to=row.to,
        note=row.note,
        noticed_at=rfc3339(row.noticed_at),
        answered_by=row.answered_by,
    )
