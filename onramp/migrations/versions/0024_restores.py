"""Create the tables of restores, with the nonces to spend before anything is paid, and of the checklist of `onramp recover`."""

import sqlalchemy as sa
from alembic import op

import kit.db.types

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0023"  # tables of its own and a column that may be null, which earlier code does not use

_OPEN = sa.text("done_at IS NULL")


def upgrade() -> None:
    """Apply this migration."""
    op.create_table(
        "treasury_restores",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("wallet", sa.String(length=42), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False, comment="how many nonces in a row are spent"),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("declared_by", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("declared_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.Column("done_at", kit.db.types.UtcDateTime(), nullable=True, comment="null: nothing may be paid yet"),
        sa.CheckConstraint(
            "source IN ('declared', 'unknown_bytes', 'lost_writes')", name=op.f("ck_treasury_restores_source")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_restores")),
    )
    op.create_index(
        "ix_treasury_restores_open", "treasury_restores", ["chain_id", "wallet"],
        unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN,
    )  # fmt: skip
    op.add_column(
        "treasury_leaders",
        sa.Column(
            "pipeline_depth", sa.Integer(), nullable=True, comment="the deepest pipeline that any leader was configured with"
        ),
    )  # fmt: skip
    op.create_table(
        "recoveries",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("begun_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.Column("backup_at", kit.db.types.UtcDateTime(), nullable=True, comment="time of the newest row that was restored"),
        sa.Column("finished_at", kit.db.types.UtcDateTime(), nullable=True, comment="null: the checklist is not done"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recoveries")),
    )  # fmt: skip
    op.create_table(
        "recovery_steps",
        sa.Column("id", sa.String(length=100), nullable=False, comment="checklist and step, joined by a slash"),
        sa.Column("recovery_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("done_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["recovery_id"], ["recoveries.id"], name=op.f("fk_recovery_steps_recovery_id_recoveries")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_steps")),
    )  # fmt: skip


def downgrade() -> None:
    """Undo this migration."""
    op.drop_table("recovery_steps")
    op.drop_table("recoveries")
    op.drop_column("treasury_leaders", "pipeline_depth")
    op.drop_index("ix_treasury_restores_open", table_name="treasury_restores")
    op.drop_table("treasury_restores")
