"""Request and response models of invitations. The link is in the response that makes it, and nowhere else."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from kit.clock import rfc3339
from kit.db.paging import next_cursor
from kit.http.documents import Document
from kit.http.paging import PositionQuery
from onramp.auth.api_keys.schemas import CreateKey
from onramp.auth.invitations.service import Invitation


class CreateInvitation(CreateKey):
    """The request for an invitation: the key that the invited person receives."""

    valid_hours: int = Field(default=24, ge=1, le=168, description="How long the link works.")


class Accept(Document):
    """The request that accepts an invitation, with the part of its link after `#`."""

    token: Annotated[str, Field(min_length=8, max_length=100)]


class InvitationsQuery(PositionQuery):
    """The query of a page of invitations."""


class InvitationResponse(Document):
    """An invitation without its link; `status` is open, accepted, withdrawn or expired."""

    id: str
    role: str
    name: str
    person: str
    status: str
    created_at: str
    created_by: str
    expires_at: str
    key_id: str | None


class NewInvitation(InvitationResponse):
    """An invitation with its link, which is shown only once."""

    link: str


class InvitationList(Document):
    """A page of invitations, the newest first."""

    data: list[InvitationResponse]
    next_cursor: str | None


def _fields(item: Invitation, now: datetime) -> dict[str, object]:
    return {
        "id": item.id,
        "role": item.role,
        "name": item.name,
        "person": item.person,
        "status": item.status(now),
        "created_at": rfc3339(item.created_at),
        "created_by": item.created_by,
        "expires_at": rfc3339(item.expires_at),
        "key_id": item.key_id,
    }


def answer(item: Invitation, now: datetime) -> InvitationResponse:
    """Return the response for an invitation, with its status at `now` and without its link."""
    return InvitationResponse.model_validate(_fields(item, now))


def with_link(item: Invitation, now: datetime, base: str, token: str) -> NewInvitation:
    """Return the response for an invitation with its link. The token comes after `#`, which browsers do not send, so no log on the way contains it."""
    return NewInvitation.model_validate({**_fields(item, now), "link": f"{base}/invitation#{token}"})


def listed(items: list[Invitation], limit: int, now: datetime) -> InvitationList:
    """Return the response for a page of invitations; `items` are one more than the page holds (`limit`) if there is a next page."""
    page = items[:limit]
    return InvitationList(data=[answer(item, now) for item in page], next_cursor=next_cursor(items, limit))
