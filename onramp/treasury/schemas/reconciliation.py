"""Response models of a reconciliation of ledger and chain."""

from pydantic import Field

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.money import format_units
from onramp.treasury.schemas.ledger import AccountsResponse
from onramp.treasury.schemas.settlements import SettlementResponse
from treasury.incidents.model import UnmatchedTransaction
from treasury.reconciliation import Difference


class DifferenceResponse(Document):
    """The comparison of ledger and chain for one asset, as decimal text in whole coins.

    `change` is what this comparison found: above zero the chain has more than the ledger, below zero coins are missing.
    `suspense` is all that is still missing, from earlier comparisons too.
    """

    asset: str
    on_chain: str
    change: str
    suspense: str


class UnmatchedTransactionResponse(Document):
    """A nonce of the hot wallet that no row explains; `txHash` is null until the transaction that used it is found."""

    id: str
    nonce: int
    tx_hash: str | None
    to: str | None
    note: str
    noticed_at: str
    answered_by: str | None


class ReconciliationResponse(Document):
    """The comparison of ledger and chain at one block.

    `agrees` is false while anything is unexplained, or the chain of USDC contradicts a settlement. `earlier` are the accounts of earlier hot
    wallets, which are no longer compared with the chain.
    """

    agrees: bool
    block_number: int
    data: list[DifferenceResponse]
    unexplained: list[UnmatchedTransactionResponse]
    settlements: list[SettlementResponse] = Field(
        description="Settlements of USDC that wait for a second person, or that its chain has not shown, or contradicts."
    )
    earlier: list[AccountsResponse]
    next_cursor: str | None = None


def difference(row: Difference, decimals: int) -> DifferenceResponse:
    """Return the response for one asset's difference; `decimals` are those of the asset."""
    return DifferenceResponse(
        asset=row.asset,
        on_chain=format_units(row.on_chain, decimals),
        change=format_units(row.change, decimals),
        suspense=format_units(row.suspense, decimals),
    )


def unmatched_transaction(row: UnmatchedTransaction) -> UnmatchedTransactionResponse:
    """Return the response for one unmatched transaction."""
    return UnmatchedTransactionResponse(
        id=row.id,
        nonce=row.nonce,
        tx_hash=row.tx_hash,
        to=row.to,
        note=row.note,
        noticed_at=rfc3339(row.noticed_at),
        answered_by=row.answered_by,
    )
