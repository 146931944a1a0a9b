"""The endpoints of outgoing webhooks, the messages to them, and one delivery for each message and endpoint.

A message is stored in the transaction that plans it, with its final bytes. A delivery is the job: it is `pending` until the receiver has
accepted the message or the schedule is exhausted. One process at a time sends to an endpoint; the lease is in the endpoint's row.
"""

from enum import StrEnum

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.leases import lease_columns
from kit.db.types import UtcDateTime, one_of


class EndpointStatus(StrEnum):
    """Whether messages are sent to an endpoint."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DeliveryStatus(StrEnum):
    """The state of a message's delivery to one endpoint."""

    PENDING = "pending"
    """Not accepted yet; tried again until the schedule is exhausted."""
    DELIVERED = "delivered"
    FAILED = "failed"
    """The schedule is exhausted, or the receiver is gone. It can be delivered again by hand."""


PENDING = sa.text("status = 'pending'")

endpoints = sa.Table(
    "webhook_endpoints",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("url", sa.Text(), nullable=False),
    sa.Column("events", sa.JSON(), nullable=False, comment='types of events, or ["*"]'),
    sa.Column("status", sa.String(8), nullable=False),
    sa.Column("disabled_reason", sa.String(24), comment="by_hand, gone, failing or secret_unreadable"),
    sa.Column("disabled_at", UtcDateTime()),
    sa.Column("secret_sealed", sa.Text(), nullable=False, comment="the current secret, encrypted"),
    sa.Column("signing_key_sealed", sa.Text(), comment="the current ed25519 key, encrypted; null: HMAC alone"),
    sa.Column("earlier_secrets", sa.JSON(), nullable=False, comment="those that still sign, with their ends"),
    sa.Column("failing_since", UtcDateTime(), comment="the first failure since the last success"),
    sa.Column("last_success_at", UtcDateTime()),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("updated_at", UtcDateTime(), nullable=False),
    *lease_columns(),
    one_of("status", EndpointStatus),
)

messages = sa.Table(
    "webhook_messages",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True, comment="the header webhook-id, the same in every attempt"),
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("subject", sa.String(200), nullable=False, comment="the id of what the event is about"),
    sa.Column("body", sa.Text(), nullable=False, comment="JSON, sent as it is stored"),
    sa.Column("created_at", UtcDateTime(), nullable=False, comment="when it happened"),
    sa.Index("ix_webhook_messages_created_at", "created_at"),
    sa.Index("ix_webhook_messages_subject", "subject", "created_at"),
)

deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("endpoint_id", sa.String(64), nullable=False),
    sa.Column("message_id", sa.String(64), nullable=False),
    sa.Column("status", sa.String(10), nullable=False),
    sa.Column(
        "tries", sa.Integer(), nullable=False, server_default="0", comment="attempts in this round of the schedule"
    ),
    sa.Column("attempts", sa.JSON(), nullable=False, comment="the newest attempts of all rounds"),
    sa.Column("response_body", sa.String(2048), comment="the beginning of the newest answer"),
    sa.Column("due_at", UtcDateTime(), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False, comment="that of its message"),
    sa.Column("ended_at", UtcDateTime(), comment="when it was delivered or given up"),
    sa.UniqueConstraint("message_id", "endpoint_id"),
    sa.Index("ix_webhook_deliveries_due", "endpoint_id", "due_at", sqlite_where=PENDING, postgresql_where=PENDING),
    sa.Index("ix_webhook_deliveries_created", "endpoint_id", "created_at", "id"),
    sa.Index("ix_webhook_deliveries_created_at", "created_at"),
    one_of("status", DeliveryStatus),
)
