"""Create the table of the payments of transactions that pay several payouts through PayOnce."""

import sqlalchemy as sa
from alembic import op

import kit.db.types

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0024"  # a table of its own, which stays empty until PAYOUT_CONTRACT is set


def upgrade() -> None:
    """Apply this migration."""
    op.create_table(
        "treasury_batch_payments",
        sa.Column("transaction_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("payout_id", sa.String(length=64), nullable=True, comment="null: found on chain, and its payout is not known here"),
        sa.Column("reference", sa.String(length=66), nullable=False),
        sa.Column("to_address", sa.String(length=42), nullable=False),
        sa.Column("amount", kit.db.types.Uint256(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True, comment="null: the chain has not decided"),
        sa.Column("log_index", sa.Integer(), nullable=True, comment="of the Transfer in the block, once it is proved"),
        sa.CheckConstraint("outcome IN ('paid', 'failed', 'paid_before')", name=op.f("ck_treasury_batch_payments_outcome")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["treasury_transactions.id"],
            name=op.f("fk_treasury_batch_payments_transaction_id_treasury_transactions"),
        ),
        sa.PrimaryKeyConstraint("transaction_id", "position", name=op.f("pk_treasury_batch_payments")),
    )  # fmt: skip
    op.create_index(op.f("ix_treasury_batch_payments_payout_id"), "treasury_batch_payments", ["payout_id"])
    op.create_index(op.f("ix_treasury_batch_payments_reference"), "treasury_batch_payments", ["reference"])


def downgrade() -> None:
    """Undo this migration."""
    op.drop_index(op.f("ix_treasury_batch_payments_reference"), table_name="treasury_batch_payments")
    op.drop_index(op.f("ix_treasury_batch_payments_payout_id"), table_name="treasury_batch_payments")
    op.drop_table("treasury_batch_payments")
