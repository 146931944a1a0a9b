"""Create the table of pauses, with a row for each scope that a person has paused."""

import sqlalchemy as sa
from alembic import op

from kit.db import types

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0005"


def upgrade() -> None:
    op.create_table(
        "treasury_pauses",
        sa.Column("id", sa.String(length=16), nullable=False, comment="sales, payouts or sweeps"),
        sa.Column("status", sa.String(length=16), nullable=False, comment="paused or running"),
        sa.Column("by", sa.String(length=64), nullable=False, comment="the key that paused or resumed it last"),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("note", sa.Text(), nullable=False, server_default=""),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_pauses")),
    )


def downgrade() -> None:
    op.drop_table("treasury_pauses")
