"""Create the tables of alarms and of the notifications about them. Nothing that exists is locked."""

import sqlalchemy as sa
from alembic import op

import kit.db.types

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0024"  # tables of their own, which earlier code does not use

_ACTIVE = sa.text("ended_at IS NULL")
_DUE = sa.text("announce_at IS NOT NULL")
_WAITING = sa.text("status = 'waiting'")


def upgrade() -> None:
    """Apply this migration."""
    op.create_table(
        "alarms",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False, comment="the row, wallet, worker or process that it is about"),
        sa.Column("process", sa.String(80), nullable=True, comment="set if the condition is that of one process"),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("raised_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.Column("acknowledged_at", kit.db.types.UtcDateTime(), nullable=True),
        sa.Column("acknowledged_by", sa.String(64), nullable=True),
        sa.Column("ended_at", kit.db.types.UtcDateTime(), nullable=True, comment="null: active"),
        sa.Column("ended_by", sa.String(64), nullable=True),
        sa.Column("announced", sa.Integer(), server_default="0", nullable=False, comment="notifications planned so far"),
        sa.Column("announce_at", kit.db.types.UtcDateTime(), nullable=True, comment="when a notification is to be planned next; null: never"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
    )
    op.create_index("uq_alarms_active", "alarms", ["name", "subject"], unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE)
    op.create_index("ix_alarms_announce_at", "alarms", ["announce_at"], sqlite_where=_DUE, postgresql_where=_DUE)
    op.create_index("ix_alarms_raised_at", "alarms", ["raised_at"])
    op.create_index("ix_alarms_subject", "alarms", ["subject"])
    op.create_table(
        "notices",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("plan_key", sa.String(300), nullable=False, comment="what is notified, and the target"),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(80), nullable=False, comment="the alarm's name, or topic and status of a change"),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("session_id", sa.String(64), nullable=True, comment="the purchase that it is about"),
        sa.Column("alarm_id", sa.String(64), nullable=True),
        sa.Column("target", sa.String(80), nullable=False, comment="the target's name, never its URL"),
        sa.Column("severity", sa.String(8), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True, comment="why the newest attempt failed"),
        sa.Column("created_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.Column("due_at", kit.db.types.UtcDateTime(), nullable=False, comment="when the next attempt is due"),
        sa.Column("sent_at", kit.db.types.UtcDateTime(), nullable=True),
        sa.Column("digest_of", sa.Integer(), nullable=True, comment="how many notifications this message contains, if it is a digest"),
        sa.Column("lease_owner", sa.String(64), nullable=True),
        sa.Column("lease_until", kit.db.types.UtcDateTime(), nullable=True),
        sa.CheckConstraint("kind IN ('raised', 'reminded', 'cleared', 'approval', 'test')", name=op.f("ck_notices_kind")),
        sa.CheckConstraint("status IN ('waiting', 'sent', 'given_up', 'superseded')", name=op.f("ck_notices_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("plan_key", name=op.f("uq_notices_plan_key")),
    )
    op.create_index("ix_notices_due_at", "notices", ["target", "due_at"], sqlite_where=_WAITING, postgresql_where=_WAITING)
    op.create_index("ix_notices_session_id", "notices", ["session_id"])
    op.create_index("ix_notices_created_at", "notices", ["created_at"])


def downgrade() -> None:
    """Undo this migration."""
    op.drop_table("notices")
    op.drop_table("alarms")
