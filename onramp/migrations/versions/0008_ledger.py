"""Create the table of the treasury's ledger, to which rows can only be added."""

import sqlalchemy as sa
from alembic import op

from kit.db import types

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0008"


def upgrade() -> None:
    op.create_table(
        "treasury_ledger",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("wallet", sa.String(length=42), nullable=False),
        sa.Column("asset", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("from_account", sa.String(length=16), nullable=False),
        sa.Column("to_account", sa.String(length=16), nullable=False),
        sa.Column("amount", types.Uint256(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.CheckConstraint("from_account <> to_account", name=op.f("ck_treasury_ledger_moves")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_ledger")),
        sa.UniqueConstraint("subject", "asset", "sequence", name=op.f("uq_treasury_ledger_subject_asset_sequence")),
    )
    op.create_index("ix_treasury_ledger_accounts", "treasury_ledger", ["wallet", "asset", "kind"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION treasury_ledger_only_grows() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the ledger only grows'; END $$"
        )
        op.execute(
            "CREATE TRIGGER treasury_ledger_only_grows BEFORE UPDATE OR DELETE ON treasury_ledger "
            "FOR EACH ROW EXECUTE FUNCTION treasury_ledger_only_grows()"
        )
        return
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER treasury_ledger_no_{act.lower()} BEFORE {act} ON treasury_ledger "
            "BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END"
        )


def downgrade() -> None:
    op.drop_table("treasury_ledger")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION treasury_ledger_only_grows()")
