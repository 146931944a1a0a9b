"""The table of notifications: one row for each notification and target. The row is the job; its content is fixed when it is planned."""

from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.leases import lease_columns
from kit.db.types import UtcDateTime, one_of
from onramp.notices.model import Notice, NoticeKind, NoticeStatus

WAITING = sa.text("status = 'waiting'")

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("plan_key", sa.String(300), nullable=False, unique=True, comment="what is notified, and the target"),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("name", sa.String(80), nullable=False, comment="the alarm's name, or topic and status of a change"),
    sa.Column("subject", sa.String(200), nullable=False),
    sa.Column("session_id", sa.String(64), comment="the purchase that it is about"),
    sa.Column("alarm_id", sa.String(64)),
    sa.Column("target", sa.String(80), nullable=False, comment="the target's name, never its URL"),
    sa.Column("severity", sa.String(8), nullable=False),
    sa.Column("content", sa.JSON(), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("error", sa.Text(), comment="why the newest attempt failed"),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("due_at", UtcDateTime(), nullable=False, comment="when the next attempt is due"),
    sa.Column("sent_at", UtcDateTime()),
    sa.Column("digest_of", sa.Integer(), comment="how many notifications this message contains, if it is a digest"),
    *lease_columns(),
    one_of("kind", NoticeKind),
    one_of("status", NoticeStatus),
    sa.Index("ix_notices_due_at", "target", "due_at", sqlite_where=WAITING, postgresql_where=WAITING),
    sa.Index("ix_notices_session_id", "session_id"),
    sa.Index("ix_notices_created_at", "created_at"),
)


def to_notice(row: Any) -> Notice:
    """Return a database row as a `Notice`."""
    return Notice(
        row.id,
        NoticeKind(row.kind),
        row.name,
        row.subject,
        row.session_id,
        row.alarm_id,
        row.target,
        row.severity,
        row.content,
        NoticeStatus(row.status),
        row.attempts,
        row.error,
        row.created_at,
        row.due_at,
        row.sent_at,
    )
