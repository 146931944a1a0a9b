"""Settlements of USDC in the shapes of the outside."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.money import format_units
from onramp.treasury.schemas import ledger
from onramp.treasury.schemas.commands import Note, UsdcAmount
from onramp.treasury.schemas.overview import CursorQuery
from onramp.treasury.schemas.settlements import SettlementResponse, settlement
from treasury.core.assets import USDC_DECIMALS
from treasury.ledger.model import Posting
from treasury.settlements.model import Settlement
from treasury.settlements.states import SettlementStatus


def _not_zero(text: str) -> str:
    if not int(text, 16):
        message = "is zero, and no transaction has that hash"
        raise ValueError(message)
    return text


TxHash = Annotated[str, Field(pattern="^0x[0-9a-fA-F]{64}$"), AfterValidator(_not_zero)]


class SettleUsdcOrder(Note):
    """USDC that arrived in one transaction: of one session, or the oldest first up to an amount."""

    tx_hash: TxHash = Field(description="Where it arrived, on Stripe's network.")
    session_id: str | None = Field(default=None, pattern="^ons_[A-Za-z0-9]{1,60}$")
    amount: UsdcAmount | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.session_id is None) == (self.amount is None):
            message = "give sessionId or amount, and not both"
            raise ValueError(message)
        return self


class SettlementQuery(CursorQuery):
    """A page of settlements."""

    status: SettlementStatus | None = Field(default=None, description="Only those in this state.")


class SettledUsdc(SettlementResponse):
    """The settlement, the postings that it clears (none while it waits), and what is still to come.

    `id` is null where it was settled before such claims were kept.
    """

    data: list[ledger.PostingResponse]
    receivable: str
    next_cursor: str | None = None


class SettlementPage(Document):
    """The newest first."""

    data: list[SettlementResponse]
    next_cursor: str | None


def settled(row: Settlement | None, cleared: Sequence[Posting], receivable: int) -> SettledUsdc:
    """With its postings; `row` None: those stand alone, from before such claims were kept."""
    rest: dict[str, Any] = {
        "data": [ledger.posting(one, USDC_DECIMALS) for one in cleared],
        "receivable": format_units(receivable, USDC_DECIMALS),
    }
    if row is not None:
        return SettledUsdc(**settlement(row).model_dump(), **rest)
    first = cleared[0]
    return SettledUsdc(
        id=None,
        tx_hash=first.note,
        session_id=None,
        amount=format_units(sum(one.amount for one in cleared), USDC_DECIMALS),
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
