"""Endpoints and deliveries as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from yarl import URL

from onramp.hooks.table import DeliveryStatus, EndpointStatus


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint without its secrets."""

    id: str
    url: str
    events: Sequence[str]
    status: EndpointStatus
    disabled_reason: str | None
    disabled_at: datetime | None
    public_key: str | None
    """The key that verifies `v1a` signatures, as `whpk_...`; None if it has none."""
    failing_since: datetime | None
    last_success_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def host(self) -> str:
        """The host of its URL: path and query may be secret, so logs and audit entries name the host alone."""
        return URL(self.url).host or ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What an endpoint wants to know."""

    id: str
    events: Sequence[str]
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of a message to an endpoint, with its newest attempts, the oldest first."""

    id: str
    endpoint_id: str
    message_id: str
    type: str
    subject: str
    status: DeliveryStatus
    tries: int
    attempts: Sequence[Mapping[str, Any]]
    """Each as `onramp.hooks.attempts` makes it."""
    response_body: str | None
    due_at: datetime
    created_at: datetime
    ended_at: datetime | None


MAX_ATTEMPTS: Final = 20
"""How many attempts of a delivery are kept."""
