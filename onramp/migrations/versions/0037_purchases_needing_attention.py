"""Add an index of the purchases that a person must look at, so that a page of them costs the same however many were completed."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None
# An index alone.
COMPATIBLE_SINCE = "0024"

_NEEDS = "delivery_status <> 'confirmed' AND (delivery_status = 'mismatch' OR {overdue} OR attention IS NOT NULL)"


def upgrade() -> None:
    """Apply this migration."""
    op.create_index(
        "ix_sessions_attention",
        "sessions",
        ["created_at", "id"],
        sqlite_where=sa.text(_NEEDS.format(overdue="overdue = 1")),
        postgresql_where=sa.text(_NEEDS.format(overdue="overdue")),
    )


def downgrade() -> None:
    """Undo this migration."""
    op.drop_index("ix_sessions_attention", "sessions")
