"""Create indexes with which matching and rechecking a block cost the same however many rows are stored."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0013"


UNCLAIMED = sa.text("session_id IS NULL")
CLAIMED = sa.text("session_id IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_transfers_unclaimed", table_name="transfers")
    with op.batch_alter_table("transfers") as transfers:
        transfers.drop_constraint("uq_transfers_session_id", type_="unique")
    for name, column, where, unique in (
        ("ix_transfers_unclaimed", "recipient", UNCLAIMED, False),
        ("ix_transfers_unclaimed_seen", "seen_at", UNCLAIMED, False),
        ("uq_transfers_session_id", "session_id", CLAIMED, True),
    ):
        op.create_index(name, "transfers", [column], unique=unique, sqlite_where=where, postgresql_where=where)
    op.create_index("ix_sessions_block", "sessions", ["block_number"])


def downgrade() -> None:
    op.drop_index("ix_sessions_block", table_name="sessions")
    for name in ("uq_transfers_session_id", "ix_transfers_unclaimed_seen", "ix_transfers_unclaimed"):
        op.drop_index(name, table_name="transfers")
    with op.batch_alter_table("transfers") as transfers:
        transfers.create_unique_constraint("uq_transfers_session_id", ["session_id"])
    op.create_index(
        "ix_transfers_unclaimed", "transfers", ["recipient"], sqlite_where=UNCLAIMED, postgresql_where=UNCLAIMED
    )
