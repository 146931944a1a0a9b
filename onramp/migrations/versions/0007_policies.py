"""Create the table of versions of the treasury's policy."""

import sqlalchemy as sa
from alembic import op

from kit.db import types

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0007"


def upgrade() -> None:
    op.create_table(
        "treasury_policies",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=66), nullable=False),
        sa.Column("loosens", sa.Text(), server_default="", nullable=False),
        sa.Column("active_key", sa.String(length=64), nullable=True),
        sa.Column("proposed_by", sa.String(length=64), nullable=False),
        sa.Column("proposed_person", sa.String(length=128), nullable=True),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("approved_person", sa.String(length=128), nullable=True),
        sa.Column("applies_at", types.UtcDateTime(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_policies")),
        sa.UniqueConstraint("active_key", name=op.f("uq_treasury_policies_active_key")),
        sa.UniqueConstraint("scope", "version", name=op.f("uq_treasury_policies_scope_version")),
    )


def downgrade() -> None:
    op.drop_table("treasury_policies")
