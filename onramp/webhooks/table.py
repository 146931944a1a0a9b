"""The inbox of Stripe's events: ids, type, status, time and the body's hash of each; never the body."""

from enum import StrEnum

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.leases import lease_columns
from kit.db.types import UtcDateTime, one_of


class EventState(StrEnum):
    """The state of a stored event."""

    PENDING = "pending"
    HANDLED = "handled"
    IGNORED = "ignored"
    """Nothing follows from it: another type of event, or a session that is not ours."""
    PARKED = "parked"
    """Handling failed too often; an operator may replay it."""


inbox = sa.Table(
    "webhook_events",
    metadata,
    sa.Column("id", sa.String(255), primary_key=True, comment="Stripe's event id"),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("stripe_session_id", sa.String(255)),
    sa.Column("session_status", sa.String(40), comment="what the event said; a hint, never believed"),
    sa.Column("body_sha256", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False, comment="when Stripe says it happened"),
    sa.Column("received_at", UtcDateTime(), nullable=False),
    sa.Column("state", sa.String(8), nullable=False, comment="pending, handled, ignored, parked"),
    sa.Column("reason", sa.String(200), comment="why it was ignored or parked"),
    sa.Column("handled_at", UtcDateTime()),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("due_at", UtcDateTime(), nullable=False),
    *lease_columns(),
    sa.Index("ix_webhook_events_state_due", "state", "due_at"),
    sa.Index("ix_webhook_events_session", "stripe_session_id"),
    sa.Index("ix_webhook_events_received", "received_at", "id"),
    one_of("state", EventState),
)
