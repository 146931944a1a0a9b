"""Request and response models of purchases as operators see them."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from chain.types import to_checksum
from kit.clock import rfc3339
from kit.db.paging import next_cursor
from kit.http.documents import Document
from kit.http.moments import Moment
from kit.http.paging import PositionQuery
from onramp.hooks.schemas import WebhookDeliveryResponse
from onramp.operator_views.schemas.events import EventResponse
from onramp.operator_views.schemas.notices import NoticeResponse
from onramp.sessions.model import Session
from onramp.sessions.schemas import SessionResponse, session_response
from onramp.sessions.status import SessionStatus
from onramp.treasury.schemas.payouts import PayoutResponse

WalletAddress = Annotated[str, Field(max_length=42), AfterValidator(to_checksum)]
"""An address in any case, with a valid checksum where mixed; as a value in EIP-55."""


class PurchasesQuery(PositionQuery):
    """The query of a page of purchases."""

    status: SessionStatus | None = Field(default=None, description="Only purchases with this status.")
    wallet: WalletAddress | None = Field(default=None, description="Only purchases for this wallet.")
    from_: Moment | None = Field(
        default=None, alias="from", description="Only purchases created at this time or later."
    )
    to: Moment | None = Field(default=None, description="Only purchases created before this time.")


class PurchaseList(Document):
    """A page of purchases, newest first."""

    data: list[SessionResponse]
    next_cursor: str | None


class MomentResponse(Document):
    """One entry of a purchase's timeline."""

    at: str
    event: str = Field(description="What happened, such as `paid`, `payout.mined` or `mail.delivered.sent`.")
    detail: str | None


class MailResponse(Document):
    """One mail to a buyer; it holds no address and no text."""

    state: str = Field(description="What it tells: `paid`, `delivered` or `attention`.")
    status: str
    reason: str | None
    created_at: str
    ended_at: str | None


class PurchaseResponse(Document):
    """A purchase with everything that is stored about it."""

    session: SessionResponse
    attention: str | None = Field(description="Why a person must look, in a sentence.")
    timeline: list[MomentResponse] = Field(description="What happened to it, the oldest first.")
    payout: PayoutResponse | None
    events: list[EventResponse] = Field(description="Stripe's events about it.")
    webhooks: list[WebhookDeliveryResponse] = Field(description="What the dApp was told.")
    notices: list[NoticeResponse] = Field(description="What operators were told.")
    mails: list[MailResponse] = Field(description="What the buyer was told.")


def purchase_list(rows: list[Session], limit: int, explorer: str | None) -> PurchaseList:
    """Return a page of purchases; `rows` are one more than the page holds (`limit`) if there is a next page."""
    return PurchaseList.model_construct(
        data=[session_response(row, explorer) for row in rows[:limit]], next_cursor=next_cursor(rows, limit)
    )


def mail(row: Any) -> MailResponse:
    """Return the response for one mail."""
    return MailResponse(
        state=row.state,
        status=row.status,
        reason=row.reason,
        created_at=rfc3339(row.created_at),
        ended_at=rfc3339(row.ended_at) if row.ended_at else None,
    )
