"""Create the table of invitations, links that yield an API key once."""

import sqlalchemy as sa
from alembic import op

from kit.db import types

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0004"


def upgrade() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False, comment="HMAC-SHA256 of the link's token"),
        sa.Column("role", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("person", sa.String(length=80), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("closed_at", types.UtcDateTime(), comment="accepted, or withdrawn where there is no key"),
        sa.Column("key_id", sa.String(length=40), comment="the key it became"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )


def downgrade() -> None:
    op.drop_table("invitations")
