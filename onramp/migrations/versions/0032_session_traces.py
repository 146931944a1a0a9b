"""Add where the trace of each purchase begins, so that what workers do joins it."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None
# One table, which the previous version does not know.
COMPATIBLE_SINCE = "0024"


def upgrade() -> None:
    """Apply this migration."""
    is_postgres = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "session_traces",
        sa.Column("id", sa.String(64), primary_key=True, comment="the session"),
        sa.Column("traceparent", sa.String(55), nullable=False, comment="of the span of the creating request, as W3C writes it"),
        sa.Column("created_at", sa.DateTime(timezone=True) if is_postgres else sa.String(27), nullable=False),
    )
    op.create_index("ix_session_traces_created_at", "session_traces", ["created_at"])


def downgrade() -> None:
    """Undo this migration. Later work of purchases that are open appears in no trace."""
    op.drop_table("session_traces")
