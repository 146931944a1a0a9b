"""Request and response models of settlements of USDC."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.http.paging import PositionQuery
from kit.money import format_units
from onramp.treasury.schemas.common import Note, UsdcAmount
from onramp.treasury.schemas.ledger import PostingResponse, posting
from treasury.core.assets import USDC_DECIMALS
from treasury.ledger.model import Posting
from treasury.settlements.model import Settlement
from treasury.settlements.states import SettlementStatus


def _not_zero(text: str) -> str:
    if not int(text, 16):
        raise ValueError("is zero, and no transaction has that hash")
    return text


TxHash = Annotated[str, Field(pattern="^0x[0-9a-fA-F]{64}$"), AfterValidator(_not_zero)]


class SettleUsdcRequest(Note):
    """USDC that arrived in one transaction: that of one session, or an amount that clears the oldest sessions first."""

    tx_hash: TxHash = Field(description="The transaction that brought it, on Stripe's network.")
    session_id: str | None = Field(default=None, pattern="^ons_[A-Za-z0-9]{1,60}$")
    amount: UsdcAmount | None = None

    @model_validator(mode="after")
    def _session_or_amount(self) -> Self:
        if (self.session_id is None) == (self.amount is None):
            raise ValueError("give sessionId or amount, and not both")
        return self


class SettlementQuery(PositionQuery):
    """The query of a page of settlements."""

    status: SettlementStatus | None = Field(default=None, description="Only settlements with this status.")


class SettlementResponse(Document):
    """One claim that a transaction brought USDC.

    `status` is `awaiting_approval` until a second person makes the same claim. `verified` means that the chain of USDC shows the
    transfer, so no second person was needed. `evidence` is what that chain showed when the claim was made or confirmed. `contradiction` is
    what it shows now that contradicts the claim; null if nothing does.
    """

    id: str | None
    tx_hash: str
    session_id: str | None
    amount: str
    status: SettlementStatus
    verified: bool
    evidence: str
    contradiction: str | None
    proposed_by: str
    approved_by: str | None
    reversal_by: str | None
    reversed_by: str | None
    note: str
    created_at: str
    updated_at: str


class SettledUsdc(SettlementResponse):
    """The settlement, the postings that it cleared (none while it waits), and the USDC that is still receivable.

    `id` is null if it was settled before settlements had rows.
    """

    data: list[PostingResponse]
    receivable: str
    next_cursor: str | None = None


class SettlementPage(Document):
    """A page of settlements, the newest first."""

    data: list[SettlementResponse]
    next_cursor: str | None


def settlement(row: Settlement) -> SettlementResponse:
    """Return the response for one settlement."""
    return SettlementResponse(
        id=row.id,
        tx_hash=row.tx_hash,
        session_id=row.session_id,
        amount=format_units(row.amount, USDC_DECIMALS),
        status=row.status,
        verified=row.verified,
        evidence=row.evidence,
        contradiction=row.contradiction,
        proposed_by=row.asked_by,
        approved_by=row.approved_by,
        reversal_by=row.reversal_by,
        reversed_by=row.reversed_by,
        note=row.note,
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(row.updated_at),
    )


def settled(row: Settlement | None, cleared: Sequence[Posting], receivable: int) -> SettledUsdc:
    """Return the response for a settlement with its postings; `row` is None if it was settled before settlements had rows."""
    rest: dict[str, Any] = {
        "data": [posting(line, USDC_DECIMALS) for line in cleared],
        "receivable": format_units(receivable, USDC_DECIMALS),
    }
    if row is not None:
        return SettledUsdc(**settlement(row).model_dump(), **rest)
    first = cleared[0]
    return SettledUsdc(
        id=None,
        tx_hash=first.note,
        session_id=None,
        amount=format_units(sum(line.amount for line in cleared), USDC_DECIMALS),
        status=SettlementStatus.SETTLED,
        verified=False,
        evidence="",
        contradiction=None,
        proposed_by=first.actor,
        approved_by=None,
        reversal_by=None,
        reversed_by=None,
        note="",
        created_at=rfc3339(first.at),
        updated_at=rfc3339(first.at),
        **rest,
    )
