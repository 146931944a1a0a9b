"""The mails that purchases need: one row for each session and state. A row holds no address and no text."""

from enum import StrEnum

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.leases import lease_columns
from kit.db.types import UtcDateTime, one_of


class MailState(StrEnum):
    """The states of a purchase that its buyer is told about."""

    PAID = "paid"
    """Paid, and MUSD is being sent."""
    DELIVERED = "delivered"
    ATTENTION = "attention"
    """Paid, but late or wrong: a person looks into it."""


class MailStatus(StrEnum):
    """How far a mail is."""

    PENDING = "pending"
    SENT = "sent"
    REFUSED = "refused"
    """The mail server refused the recipient or the message for good, or the address cannot be one."""
    DROPPED = "dropped"
    """There is nothing to send: the purchase has moved on, or no address of the buyer is stored any more."""
    GIVEN_UP = "given_up"
    """No attempt succeeded within a day."""


buyer_mails = sa.Table(
    "buyer_mails",
    metadata,
    sa.Column("id", sa.String(80), primary_key=True, comment="session/state: a state is told once, however often it is reached"),
    sa.Column("session_id", sa.String(64), nullable=False, index=True),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("status", sa.String(12), nullable=False),
    sa.Column("reason", sa.String(200), comment="why it ended or waits, without an address"),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("due_at", UtcDateTime(), nullable=False),
    sa.Column("ended_at", UtcDateTime(), comment="when it was sent, or nothing more was to be done"),
    *lease_columns(),
    sa.Index("ix_buyer_mails_due", "due_at", sqlite_where=sa.text("status = 'pending'"), postgresql_where=sa.text("status = 'pending'")),
    one_of("state", MailState),
    one_of("status", MailStatus),
)  # fmt: skip
