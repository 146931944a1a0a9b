"""Create the table of the persons' claims by which USDC counts as arrived. Earlier settlements stay in the ledger alone."""

import sqlalchemy as sa
from alembic import op

import kit.db.types

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None
# Code before only does not know a reversal: it shows such USDC as settled still.
COMPATIBLE_SINCE = "0017"


def upgrade() -> None:
    op.create_table(
        "treasury_usdc_settlements",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=False),
        sa.Column("session_id", sa.String(length=64), nullable=True, comment="null: the oldest sessions first"),
        sa.Column("amount", kit.db.types.Uint256(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("open_claim", sa.String(length=140), nullable=True, comment="transaction and session; null once it is closed"),
        sa.Column("verified", sa.Boolean(), nullable=False, comment="found on the chain of USDC"),
        sa.Column("evidence", sa.Text(), server_default="", nullable=False, comment="what the chain said last"),
        sa.Column("contradiction", sa.Text(), nullable=True, comment="what the chain says against it"),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_person", sa.String(length=128), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("reversal_by", sa.String(length=64), nullable=True),
        sa.Column("reversal_person", sa.String(length=128), nullable=True),
        sa.Column("reversed_by", sa.String(length=64), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.Column("updated_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_usdc_settlements")),
        sa.UniqueConstraint("open_claim", name=op.f("uq_treasury_usdc_settlements_open_claim")),
    )  # fmt: skip
    for column in ("status", "tx_hash"):
        op.create_index(op.f(f"ix_treasury_usdc_settlements_{column}"), "treasury_usdc_settlements", [column])


def downgrade() -> None:
    op.drop_table("treasury_usdc_settlements")
