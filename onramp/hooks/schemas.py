"""Request and response models of outgoing webhooks. A secret is in the response that makes it, and nowhere else."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from kit.clock import rfc3339
from kit.db.paging import next_cursor
from kit.http.documents import Document
from kit.http.moments import Moment
from kit.http.outbound_urls import MAX_LENGTH
from kit.http.paging import PositionQuery
from onramp.hooks.attempts import Outcome
from onramp.hooks.event_types import ALL_EVENTS, EventType
from onramp.hooks.model import Delivery, Endpoint
from onramp.hooks.table import DeliveryStatus, EndpointStatus

_CHOICES: Final = (ALL_EVENTS, *(event.value for event in EventType if event is not EventType.WEBHOOK_TEST))
_EVENTS: Final = "Types of events, or `*` alone for every type. `webhook.test` comes whenever a test is ordered."


def _events(chosen: list[str]) -> list[str]:
    unknown = [event for event in chosen if event not in _CHOICES]
    if unknown:
        raise ValueError("names an event that does not exist; `*` alone means every event")
    if len(set(chosen)) != len(chosen):
        raise ValueError("names an event twice")
    if ALL_EVENTS in chosen and len(chosen) > 1:
        raise ValueError("must be `*` alone, or a list of events")
    return chosen


Events = Annotated[
    list[Annotated[str, Field(max_length=40), WithJsonSchema({"type": "string", "enum": list(_CHOICES)})]],
    Field(min_length=1, max_length=len(_CHOICES)),
    AfterValidator(_events),
]
Url = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH)]


class CreateWebhook(Document):
    """The request for a new endpoint."""

    url: Url = Field(description="Where messages are posted to: https, with a public address, on port 443 or 8443.")
    events: Events = Field(description=_EVENTS)
    ed25519: bool = Field(
        default=False,
        description="Whether messages are signed with ed25519 (`v1a`) as well, so that the receiver needs no secret but `publicKey`.",
    )


class ChangeWebhook(Document):
    """The request to change an endpoint. What is left out stays as it is."""

    url: Url | None = Field(default=None, description="A new URL; what waits is sent there.")
    events: Events | None = Field(default=None, description=_EVENTS)
    status: Literal["enabled", "disabled"] | None = Field(
        default=None,
        description="`disabled` stops sending and keeps what waits; `enabled` sends it.",
    )


class RotateWebhook(Document):
    """The request for a new secret of an endpoint."""

    overlap_seconds: int = Field(
        default=86_400, ge=0, le=604_800, description="How long messages are signed with the old secret as well."
    )


class RecoverWebhook(Document):
    """The request to send again what an endpoint has missed."""

    since: Moment = Field(
        description="Messages of events since this time that the endpoint has not accepted are sent now. They are kept for 30 days."
    )

    @property
    def moment(self) -> datetime:
        """The time as a value."""
        return datetime.fromisoformat(self.since)


class WebhookResponse(Document):
    """An endpoint without its secret."""

    id: str
    url: str
    events: list[str]
    status: Annotated[str, WithJsonSchema({"type": "string", "enum": [status.value for status in EndpointStatus]})]
    disabled_reason: str | None = Field(
        description="`by_hand`, `gone` (its receiver answered 410), `failing` (no success for five days) or `secret_unreadable`; null while it"
        " is enabled."
    )
    disabled_at: str | None
    public_key: str | None = Field(
        description="The key that verifies `v1a` signatures, as `whpk_...`; null without ed25519."
    )
    failing_since: str | None = Field(description="The first failure since the last success.")
    last_success_at: str | None = Field(description="Exact to a minute.")
    created_at: str
    updated_at: str


class NewWebhookResponse(WebhookResponse):
    """An endpoint with its secret, which is shown only once."""

    secret: str = Field(
        description="`whsec_...`: the key of the signatures `v1` is what follows the prefix, decoded from base64."
    )


class WebhookList(Document):
    """All endpoints, the newest first; there are at most 16."""

    data: list[WebhookResponse]
    next_cursor: str | None


class WebhookAttempt(Document):
    """One attempt to deliver a message."""

    at: str
    outcome: Annotated[str, WithJsonSchema({"type": "string", "enum": [outcome.value for outcome in Outcome]})]
    status: int | None = Field(description="The HTTP status; null without a response.")
    milliseconds: int
    reason: str | None = Field(description="Why it failed.")


class WebhookDeliveryResponse(Document):
    """The delivery of a message to an endpoint. `messageId` is its `webhook-id`, the same in every attempt."""

    id: str
    webhook_id: str
    message_id: str
    type: str
    subject: str = Field(description="The id of what the event is about, such as a session's.")
    status: Annotated[str, WithJsonSchema({"type": "string", "enum": [status.value for status in DeliveryStatus]})]
    attempts: list[WebhookAttempt] = Field(description="The newest 20, the oldest first.")
    response: str | None = Field(description="The beginning of the newest answer, at most 2,048 characters.")
    next_attempt_at: str | None = Field(description="Null once it is delivered or given up.")
    created_at: str = Field(description="When the event happened.")
    ended_at: str | None = Field(description="When it was delivered or given up.")


class DeliveriesQuery(PositionQuery):
    """The query of a page of deliveries."""

    status: DeliveryStatus | None = Field(default=None, description="Only deliveries with this status.")


class WebhookDeliveryList(Document):
    """A page of deliveries, the newest first."""

    data: list[WebhookDeliveryResponse]
    next_cursor: str | None


class Recovered(Document):
    """The answer to a recovery."""

    messages: int = Field(description="How many messages are sent now.")


def _fields(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "status": endpoint.status,
        "disabled_reason": endpoint.disabled_reason,
        "disabled_at": _time(endpoint.disabled_at),
        "public_key": endpoint.public_key,
        "failing_since": _time(endpoint.failing_since),
        "last_success_at": _time(endpoint.last_success_at),
        "created_at": rfc3339(endpoint.created_at),
        "updated_at": rfc3339(endpoint.updated_at),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def webhook(endpoint: Endpoint) -> WebhookResponse:
    """Return the response for an endpoint, without its secret."""
    return WebhookResponse.model_validate(_fields(endpoint))


def with_secret(endpoint: Endpoint, secret: str) -> NewWebhookResponse:
    """Return the response for an endpoint with its secret, which is shown only once."""
    return NewWebhookResponse.model_validate({**_fields(endpoint), "secret": secret})


def delivery(row: Delivery) -> WebhookDeliveryResponse:
    """Return the response for one delivery."""
    return WebhookDeliveryResponse(
        id=row.id,
        webhook_id=row.endpoint_id,
        message_id=row.message_id,
        type=row.type,
        subject=row.subject,
        status=row.status,
        attempts=[WebhookAttempt.model_validate(attempt) for attempt in row.attempts],
        response=row.response_body,
        next_attempt_at=rfc3339(row.due_at) if row.status is DeliveryStatus.PENDING else None,
        created_at=rfc3339(row.created_at),
        ended_at=_time(row.ended_at),
    )


def listed(rows: Sequence[Delivery], limit: int) -> WebhookDeliveryList:
    """Return the response for a page of deliveries; `rows` are one more than the page holds (`limit`) if there is a next page."""
    return WebhookDeliveryList(data=[delivery(row) for row in rows[:limit]], next_cursor=next_cursor(rows, limit))
