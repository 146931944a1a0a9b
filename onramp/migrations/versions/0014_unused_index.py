"""Drop the index of transfers by hash, which no query used and which made storing each block slower."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0014"


def upgrade() -> None:
    op.drop_index("ix_transfers_tx_hash", table_name="transfers")


def downgrade() -> None:
    op.create_index("ix_transfers_tx_hash", "transfers", ["tx_hash"])
