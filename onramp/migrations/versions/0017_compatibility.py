"""Store in the database which versions of the code can use it, so that a newer schema does not stop a running version."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0017"  # code before this revision uses only its own


def upgrade() -> None:
    op.create_table(
        "schema_compatibility",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column(
            "compatible_since",
            sa.String(length=32),
            nullable=False,
            comment="the oldest revision whose code can use this database",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schema_compatibility")),
    )


def downgrade() -> None:
    op.drop_table("schema_compatibility")
