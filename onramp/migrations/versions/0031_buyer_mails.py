"""Add the mails to buyers: a row for each purchase and state."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None
# One table, which the previous version does not know.
COMPATIBLE_SINCE = "0024"

STATES = ("paid", "delivered", "attention")
STATUSES = ("pending", "sent", "refused", "dropped", "given_up")


def upgrade() -> None:
    """Apply this migration."""
    is_postgres = op.get_bind().dialect.name == "postgresql"
    time = sa.DateTime(timezone=True) if is_postgres else sa.String(27)
    op.create_table(
        "buyer_mails",
        sa.Column("id", sa.String(80), primary_key=True, comment="session/state: a state is told once, however often it is reached"),
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("reason", sa.String(200), comment="why it ended or waits, without an address"),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("created_at", time, nullable=False),
        sa.Column("due_at", time, nullable=False),
        sa.Column("ended_at", time, comment="when it was sent, or nothing more was to be done"),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("lease_until", time),
        sa.CheckConstraint(f"state IN ({_listed(STATES)})", name=op.f("ck_buyer_mails_state")),
        sa.CheckConstraint(f"status IN ({_listed(STATUSES)})", name=op.f("ck_buyer_mails_status")),
    )
    op.create_index("ix_buyer_mails_session_id", "buyer_mails", ["session_id"])
    pending = sa.text("status = 'pending'")
    op.create_index("ix_buyer_mails_due", "buyer_mails", ["due_at"], sqlite_where=pending, postgresql_where=pending)


def downgrade() -> None:
    """Undo this migration. What was not sent yet is not sent."""
    op.drop_table("buyer_mails")


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(repr(value) for value in values)
