"""Request and response models of Stripe's stored events."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from kit.clock import rfc3339
from kit.db.paging import Position, encode_position
from kit.http.documents import Document
from kit.http.paging import PositionQuery
from onramp.webhooks.service import TYPES
from onramp.webhooks.table import EventState


class EventsQuery(PositionQuery):
    """The query of a page of events."""

    status: EventState | None = Field(
        default=None, description="Only events in this state; `parked` ones failed too often."
    )
    type: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Only events of this type of Stripe's."
    )


class EventResponse(Document):
    """One of Stripe's events as it is stored: never its body."""

    id: str = Field(description="Stripe's id.")
    type: str
    stripe_session_id: str | None
    session_status: str | None = Field(description="What the event said; a hint, never believed.")
    status: EventState
    reason: str | None = Field(description="Why it was ignored or parked.")
    tries: int
    replayable: bool = Field(
        description="Whether it can be replayed: it is about a session, and of a type that is handled."
    )
    created_at: str = Field(description="When Stripe says that it happened.")
    received_at: str
    handled_at: str | None


class EventList(Document):
    """A page of events, the newest first."""

    data: list[EventResponse]
    next_cursor: str | None


def event(row: Any) -> EventResponse:
    """Return the response for one stored event."""
    return EventResponse(
        id=row.id,
        type=row.type,
        stripe_session_id=row.stripe_session_id,
        session_status=row.session_status,
        status=EventState(row.state),
        reason=row.reason,
        tries=row.tries,
        replayable=row.stripe_session_id is not None and row.type in TYPES,
        created_at=rfc3339(row.created_at),
        received_at=rfc3339(row.received_at),
        handled_at=rfc3339(row.handled_at) if row.handled_at else None,
    )


def event_list(rows: Sequence[Any], limit: int) -> EventList:
    """Return a page of events; `rows` are one more than the page holds (`limit`) if there is a next page."""
    shown = rows[:limit]
    cursor = encode_position(Position(shown[-1].received_at, shown[-1].id)) if len(rows) > limit else None
    return EventList(data=[event(row) for row in shown], next_cursor=cursor)
