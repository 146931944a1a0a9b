"""Give the database a deployment id, record every hot wallet, and store with each session who sold it."""

import os
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

import kit.db.types

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0017"

_GRACE = timedelta(days=2)
"""How long the earlier version may go on selling beside this schema, without storing the deployment id."""


def upgrade() -> None:
    deployment = op.create_table(
        "deployment",
        sa.Column("place", sa.SmallInteger(), autoincrement=False, nullable=False, comment="always 1"),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("created_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.Column("unmarked_until", kit.db.types.UtcDateTime(), nullable=True, comment="sessions made at Stripe up to here may lack the deployment id; null: none may"),
        sa.Column("unknown_purchases", sa.Integer(), server_default="0", nullable=False, comment="completed purchases at Stripe that may be this deployment's and are not in this database"),
        sa.CheckConstraint("place = 1", name=op.f("ck_deployment_one")),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_deployment")),
    )  # fmt: skip
    wallets = op.create_table(
        "treasury_hot_wallets",
        sa.Column("id", sa.String(length=64), nullable=False, comment="chain id and wallet"),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("wallet", sa.String(length=42), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False, comment="started, rows or stripe"),
        sa.Column("first_seen_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_hot_wallets")),
    )
    op.create_table(
        "session_searches",
        sa.Column("id", sa.String(length=40), nullable=False, comment="the session's id"),
        sa.Column("wallet", sa.String(length=42), nullable=True, comment="the wallet that it was sold for; null: any earlier one"),
        sa.Column("rebuilt", sa.Boolean(), nullable=False, comment="this database had lost the session: never paid again"),
        sa.Column("state", sa.String(length=8), nullable=False, comment="open, looking, paid, owed or unpaid"),
        sa.Column("amount", kit.db.types.Uint256(), nullable=True, comment="MUSD owed, 18 decimals"),
        sa.Column("due_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.Column("created_at", kit.db.types.UtcDateTime(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", kit.db.types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session_searches")),
    )  # fmt: skip
    op.create_index("ix_session_searches_due", "session_searches", ["state", "due_at"])
    op.add_column("sessions", sa.Column("deployment_id", sa.String(length=40), comment="whose it is, as Stripe's metadata say; null: sold before they did"))
    op.add_column("sessions", sa.Column("chain_id", sa.BigInteger(), comment="as Stripe's metadata say"))
    op.add_column("sessions", sa.Column("hot_wallet", sa.String(length=42), comment="as Stripe's metadata say: which wallet was to pay"))  # fmt: skip

    connection, now = op.get_bind(), datetime.now(UTC)
    has_sold = connection.execute(sa.text("SELECT 1 FROM sessions LIMIT 1")).first() is not None
    # A database that has sold nothing yet can hold no unmarked session of its own.
    until = now + _GRACE if has_sold else None
    row = {"place": 1, "id": "dep_" + os.urandom(16).hex(), "created_at": now, "unmarked_until": until}
    op.bulk_insert(deployment, [row])
    used = connection.execute(sa.text(_USED)).fetchall()
    op.bulk_insert(
        wallets,
        [
            {"id": f"{chain}:{wallet}", "chain_id": chain, "wallet": wallet, "source": "rows", "first_seen_at": now}
            for chain, wallet in used
        ],
    )


_USED = """
SELECT chain_id, wallet FROM treasury_balances
UNION SELECT chain_id, wallet FROM treasury_transactions
UNION SELECT known.chain_id, payouts.wallet FROM treasury_payouts AS payouts
    CROSS JOIN (SELECT chain_id FROM treasury_balances UNION SELECT chain_id FROM treasury_transactions) AS known
"""


def downgrade() -> None:
    for name in ("hot_wallet", "chain_id", "deployment_id"):
        op.drop_column("sessions", name)
    op.drop_index("ix_session_searches_due", table_name="session_searches")
    op.drop_table("session_searches")
    op.drop_table("treasury_hot_wallets")
    op.drop_table("deployment")
