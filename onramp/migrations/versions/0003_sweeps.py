"""Create the table of sweeps, and the columns that name who approved or retried a payout."""

import sqlalchemy as sa
from alembic import op

from kit.db import types

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0003"


def upgrade() -> None:
    op.create_table(
        "treasury_sweeps",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("wallet", sa.String(length=42), nullable=False),
        sa.Column("asset", sa.String(length=16), nullable=False),
        sa.Column("token", sa.String(length=42), nullable=False),
        sa.Column("to_address", sa.String(length=42), nullable=False),
        sa.Column("amount", types.Uint256(), nullable=False),
        sa.Column("reference", sa.String(length=66), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.String(length=64), nullable=False),
        sa.Column("safe_identity", sa.String(length=66), nullable=False),
        sa.Column("active_key", sa.String(length=160), nullable=True),
        sa.Column("window_key", sa.String(length=160), nullable=True),
        sa.Column("proposed_by", sa.String(length=64), nullable=False),
        sa.Column("proposed_person", sa.String(length=128), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("approved_person", sa.String(length=128), nullable=True),
        sa.Column("approval", sa.String(length=66), nullable=True),
        sa.Column("expires_at", types.UtcDateTime(), nullable=True),
        sa.Column("transaction_id", sa.String(length=64), nullable=True),
        sa.Column("tx_hash", sa.String(length=66), nullable=True),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_sweeps")),
        sa.UniqueConstraint("active_key", name=op.f("uq_treasury_sweeps_active_key")),
        sa.UniqueConstraint("reference", name=op.f("uq_treasury_sweeps_reference")),
        sa.UniqueConstraint("window_key", name=op.f("uq_treasury_sweeps_window_key")),
    )
    op.create_index(op.f("ix_treasury_sweeps_status"), "treasury_sweeps", ["status"], unique=False)
    for name, length in (("approved_by", 64), ("approved_person", 128), ("retry_by", 64), ("retry_person", 128)):
        op.add_column("treasury_payouts", sa.Column(name, sa.String(length=length), nullable=True))
    op.add_column("treasury_transactions", sa.Column("gas_limit", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Undo this migration."""
    op.drop_column("treasury_transactions", "gas_limit")
    for name in ("approved_by", "approved_person", "retry_by", "retry_person"):
        op.drop_column("treasury_payouts", name)
    op.drop_index(op.f("ix_treasury_sweeps_status"), table_name="treasury_sweeps")
    op.drop_table("treasury_sweeps")
