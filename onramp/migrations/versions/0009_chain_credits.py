"""Create the table of the credits that calls to nodes have cost, by month."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0009"


def upgrade() -> None:
    op.create_table(
        "chain_credits",
        sa.Column("id", sa.String(length=96), nullable=False, comment="month and name of the node"),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_credits")),
    )


def downgrade() -> None:
    op.drop_table("chain_credits")
