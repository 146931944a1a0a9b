"""Create the table of persons' explanations of coins that moved without a row."""

import sqlalchemy as sa
from alembic import op

import kit.db.types

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0011"


def upgrade() -> None:
    op.create_table(
        "treasury_answers",
        sa.Column("id", sa.String(length=160), nullable=False, comment="chain, wallet and subject"),
        sa.Column("subject", sa.String(length=64), nullable=False, comment="an asset, or a transaction of another hand"),
        sa.Column("status", sa.String(length=16), nullable=False, comment="asked or answered"),
        sa.Column("amount", kit.db.types.Uint256(), nullable=False, comment="what was unexplained when it was asked"),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_person", sa.String(length=128), nullable=False),
        sa.Column("answered_by", sa.String(length=64), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", kit.db.types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_answers")),
    )  # fmt: skip


def downgrade() -> None:
    op.drop_table("treasury_answers")
