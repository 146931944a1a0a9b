"""The table of alarms. A unique index allows one active alarm for each name and subject, whichever process raises it."""

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import UtcDateTime

ACTIVE = sa.text("ended_at IS NULL")
DUE = sa.text("announce_at IS NOT NULL")

alarms = sa.Table(
    "alarms",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("subject", sa.String(200), nullable=False, comment="the row, wallet, worker or process that it is about"),
    sa.Column("process", sa.String(80), comment="set if the condition is that of one process"),
    sa.Column("facts", sa.JSON(), nullable=False),
    sa.Column("raised_at", UtcDateTime(), nullable=False),
    sa.Column("acknowledged_at", UtcDateTime()),
    sa.Column("acknowledged_by", sa.String(64)),
    sa.Column("ended_at", UtcDateTime(), comment="null: active"),
    sa.Column("ended_by", sa.String(64)),
    sa.Column("announced", sa.Integer(), nullable=False, server_default="0", comment="notifications planned so far"),
    sa.Column("announce_at", UtcDateTime(), comment="when a notification is to be planned next; null: never"),
    sa.Index("uq_alarms_active", "name", "subject", unique=True, sqlite_where=ACTIVE, postgresql_where=ACTIVE),
    sa.Index("ix_alarms_announce_at", "announce_at", sqlite_where=DUE, postgresql_where=DUE),
    sa.Index("ix_alarms_raised_at", "raised_at"),
    sa.Index("ix_alarms_subject", "subject"),
)
