"""Add the column that names who let a payout through although its recipient is on the sanctions list."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0010"


def upgrade() -> None:
    op.add_column(
        "treasury_payouts",
        sa.Column("cleared_by", sa.String(length=64), nullable=True, comment="who let it through although its recipient is listed"),
    )  # fmt: skip


def downgrade() -> None:
    op.drop_column("treasury_payouts", "cleared_by")
