"""Request and response models of payouts."""

from typing import Self

from pydantic import Field, model_validator

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.money import format_units
from onramp.treasury.schemas.common import HistoryLine, Note, history_lines
from treasury.core.assets import MUSD_DECIMALS
from treasury.core.history import HistoryEntry
from treasury.payouts.model import Payout


class SettlePayoutRequest(Note):
    """The evidence that a failed payout was made good: a transfer that the chain proves, or a note."""

    tx_hash: str | None = Field(default=None, pattern="^0x[0-9a-fA-F]{64}$")

    @model_validator(mode="after")
    def _has_proof_or_note(self) -> Self:
        if self.tx_hash is None and not self.note.strip():
            raise ValueError("give txHash, or a note that says how the buyer was made good")
        return self


class PayoutResponse(Document):
    """A payout with its history. `retryBy` is the id of the caller who proposed another attempt, while that waits for a second person; else null."""

    id: str
    session_id: str
    asset: str
    amount: str
    to: str
    status: str
    reason: str | None
    proposed_by: str
    approved_by: str | None
    retry_by: str | None
    transaction_id: str | None
    tx_hash: str | None
    created_at: str
    updated_at: str
    history: list[HistoryLine]


class PayoutPage(Document):
    """A page of payouts, the newest first."""

    data: list[PayoutResponse]
    next_cursor: str | None


def payout(row: Payout, entries: list[HistoryEntry]) -> PayoutResponse:
    """Return the response for one payout with its history."""
    return PayoutResponse(
        id=row.id,
        session_id=row.session_id,
        asset=row.asset,
        amount=format_units(row.amount, MUSD_DECIMALS),
        to=row.to,
        status=row.status,
        reason=row.reason,
        proposed_by=entries[0].by if entries else "treasury",
        approved_by=row.approved_by,
        retry_by=row.retry_by,
        transaction_id=row.transaction_id,
        tx_hash=row.tx_hash,
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(row.updated_at),
        history=history_lines(entries),
    )
