"""Create the table of the settlement addresses that this deployment has used, each with a MAC."""

import sqlalchemy as sa
from alembic import op

import kit.db.types

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0017"  # a table of its own, which earlier code does not use


def upgrade() -> None:
    op.create_table(
        "settlement_addresses",
        sa.Column("id", sa.String(length=42), nullable=False, comment="the address in EIP-55"),
        sa.Column("mac", sa.String(length=64), nullable=False, comment="HMAC-SHA256 of the address under a key of DATA_KEYS"),
        sa.Column("first_used_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement_addresses")),
    )  # fmt: skip


def downgrade() -> None:
    op.drop_table("settlement_addresses")
