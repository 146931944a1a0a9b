"""Add the index by which the timeline of a purchase finds its outgoing webhooks."""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None
# One index, which the previous version keeps up to date without knowing it.
COMPATIBLE_SINCE = "0024"


def upgrade() -> None:
    """Apply this migration."""
    op.create_index("ix_webhook_messages_subject", "webhook_messages", ["subject", "created_at"])


def downgrade() -> None:
    """Undo this migration. The timeline of a purchase reads all messages since it was created."""
    op.drop_index("ix_webhook_messages_subject", "webhook_messages")
