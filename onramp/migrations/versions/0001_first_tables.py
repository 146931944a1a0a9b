"""Create the first tables: sessions, inbox, transfers, and the treasury's payouts and transactions."""

import sqlalchemy as sa
from alembic import op

from kit.db import types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
COMPATIBLE_SINCE = "0001"


def upgrade() -> None:
    op.create_table(
        "chain_cursors",
        sa.Column("id", sa.String(length=32), nullable=False, comment="chain id, in decimal"),
        sa.Column("read_to", sa.BigInteger(), nullable=False, comment="every block up to this one was read"),
        sa.Column(
            "head", sa.BigInteger(), nullable=False, comment="the newest block that enough operators had reached"
        ),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_cursors")),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("wallet_address", sa.String(length=42), nullable=False),
        sa.Column(
            "source_minor", sa.BigInteger(), nullable=False, comment="asked amount in hundredths of source_currency"
        ),
        sa.Column("source_currency", sa.String(length=3), nullable=False),
        sa.Column(
            "mode", sa.String(length=8), nullable=False, comment="payout or observe, as configured when it was made"
        ),
        sa.Column("fee_bps", sa.Integer(), nullable=False),
        sa.Column("locked_address", sa.String(length=42), nullable=False, comment="the address locked at Stripe"),
        sa.Column("destination_currency", sa.String(length=16), nullable=False),
        sa.Column("destination_network", sa.String(length=24), nullable=False),
        sa.Column(
            "from_block",
            sa.BigInteger(),
            nullable=False,
            comment="transfers up to this block are older than the session",
        ),
        sa.Column(
            "idempotency_hash",
            sa.String(length=64),
            nullable=True,
            comment="sha256 of the client's key; forgotten after 24 h",
        ),
        sa.Column("body_hash", sa.String(length=64), nullable=True),
        sa.Column("stripe_key_generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("has_email", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column(
            "refusal_code", sa.String(length=64), nullable=True, comment="why Stripe, or the echo, refused at creation"
        ),
        sa.Column("refusal_detail", sa.String(length=400), nullable=True),
        sa.Column("payment_status", sa.String(length=24), nullable=False),
        sa.Column("stripe_session_id", sa.String(length=255), nullable=True),
        sa.Column("livemode", sa.Boolean(), nullable=True),
        sa.Column(
            "delivered_units",
            types.Uint256(),
            nullable=True,
            comment="what Stripe says it delivered, in base units of destination_currency",
        ),
        sa.Column("paid_at", types.UtcDateTime(), nullable=True, comment="when fulfillment_complete was learned"),
        sa.Column("payment_updated_at", types.UtcDateTime(), nullable=False),
        sa.Column("attention", sa.String(length=400), nullable=True, comment="why a person must look, in a sentence"),
        sa.Column("delivery_status", sa.String(length=12), nullable=False),
        sa.Column("delivery_reason", sa.String(length=32), nullable=True),
        sa.Column("expected_units", types.Uint256(), nullable=True, comment="MUSD owed, 18 decimals"),
        sa.Column("tx_hash", sa.String(length=66), nullable=True),
        sa.Column("log_index", sa.Integer(), nullable=True),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("block_hash", sa.String(length=66), nullable=True),
        sa.Column("sender", sa.String(length=42), nullable=True),
        sa.Column("received_units", types.Uint256(), nullable=True),
        sa.Column("confirmations", sa.Integer(), server_default="0", nullable=False),
        sa.Column("agreed_by", sa.JSON(), nullable=True),
        sa.Column("overdue", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("confirmed_at", types.UtcDateTime(), nullable=True),
        sa.Column("delivery_updated_at", types.UtcDateTime(), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.Column("expires_at", types.UtcDateTime(), nullable=False),
        sa.Column("asked_at", types.UtcDateTime(), nullable=False, comment="when Stripe was last asked about it"),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("stripe_session_id", name=op.f("uq_sessions_stripe_session_id")),
        sa.UniqueConstraint(
            "wallet_address", "idempotency_hash", name=op.f("uq_sessions_wallet_address_idempotency_hash")
        ),
    )
    op.create_index("ix_sessions_delivery", "sessions", ["delivery_status", "payment_status"], unique=False)
    op.create_index("ix_sessions_payment_asked", "sessions", ["payment_status", "asked_at"], unique=False)
    op.create_index("ix_sessions_wallet_created", "sessions", ["wallet_address", "created_at", "id"], unique=False)
    op.create_table(
        "treasury_balances",
        sa.Column("id", sa.String(length=96), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("wallet", sa.String(length=42), nullable=False),
        sa.Column("asset", sa.String(length=16), nullable=False),
        sa.Column("amount", types.Uint256(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_balances")),
    )
    op.create_table(
        "treasury_foreign",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("wallet", sa.String(length=42), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=True),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("token", sa.String(length=42), nullable=True),
        sa.Column("to_address", sa.String(length=42), nullable=True),
        sa.Column("amount", types.Uint256(), nullable=True),
        sa.Column("reference", sa.String(length=66), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("noticed_at", types.UtcDateTime(), nullable=False),
        sa.Column("payout_id", sa.String(length=64), nullable=True),
        sa.Column("answered_by", sa.String(length=64), nullable=True),
        sa.Column("answered_at", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_foreign")),
        sa.UniqueConstraint("chain_id", "wallet", "nonce", name=op.f("uq_treasury_foreign_chain_id_wallet_nonce")),
    )
    op.create_index(op.f("ix_treasury_foreign_reference"), "treasury_foreign", ["reference"], unique=False)
    op.create_table(
        "treasury_history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("at", types.UtcDateTime(), nullable=False),
        sa.Column("from", sa.String(length=32), nullable=True),
        sa.Column("to", sa.String(length=32), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_history")),
    )
    op.create_index(op.f("ix_treasury_history_subject_id"), "treasury_history", ["subject_id"], unique=False)
    op.create_table(
        "treasury_leaders",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", types.UtcDateTime(), nullable=True),
        sa.Column("explained_block", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_leaders")),
    )
    op.create_table(
        "treasury_payouts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("stripe_session_id", sa.String(length=128), nullable=False),
        sa.Column("wallet", sa.String(length=42), nullable=False),
        sa.Column("asset", sa.String(length=16), nullable=False),
        sa.Column("token", sa.String(length=42), nullable=False),
        sa.Column("to_address", sa.String(length=42), nullable=False),
        sa.Column("amount", types.Uint256(), nullable=False),
        sa.Column("reference", sa.String(length=66), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("transaction_id", sa.String(length=64), nullable=True),
        sa.Column("tx_hash", sa.String(length=66), nullable=True),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_payouts")),
        sa.UniqueConstraint("reference", name=op.f("uq_treasury_payouts_reference")),
        sa.UniqueConstraint("session_id", name=op.f("uq_treasury_payouts_session_id")),
    )
    op.create_index(
        "ix_treasury_payouts_queue", "treasury_payouts", ["wallet", "status", "created_at", "id"], unique=False
    )
    op.create_table(
        "treasury_transactions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("wallet", sa.String(length=42), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=42), nullable=False),
        sa.Column("to_address", sa.String(length=42), nullable=False),
        sa.Column("amount", types.Uint256(), nullable=False),
        sa.Column("reference", sa.String(length=66), nullable=True),
        sa.Column("adopted", sa.Boolean(), nullable=False),
        sa.Column("stall", sa.String(length=64), nullable=True),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("block_hash", sa.String(length=66), nullable=True),
        sa.Column("created_at", types.UtcDateTime(), nullable=False),
        sa.Column("updated_at", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_transactions")),
        sa.UniqueConstraint("chain_id", "wallet", "nonce", name=op.f("uq_treasury_transactions_chain_id_wallet_nonce")),
    )
    op.create_index(
        op.f("ix_treasury_transactions_operation_id"), "treasury_transactions", ["operation_id"], unique=False
    )
    op.create_index(op.f("ix_treasury_transactions_reference"), "treasury_transactions", ["reference"], unique=False)
    op.create_index(op.f("ix_treasury_transactions_status"), "treasury_transactions", ["status"], unique=False)
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.String(length=255), nullable=False, comment="Stripe's event id"),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("stripe_session_id", sa.String(length=255), nullable=True),
        sa.Column(
            "session_status", sa.String(length=40), nullable=True, comment="what the event said; a hint, never believed"
        ),
        sa.Column("body_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", types.UtcDateTime(), nullable=False, comment="when Stripe says it happened"),
        sa.Column("received_at", types.UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False, comment="pending, handled, ignored, parked"),
        sa.Column("reason", sa.String(length=200), nullable=True, comment="why it was ignored or parked"),
        sa.Column("handled_at", types.UtcDateTime(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", types.UtcDateTime(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_events")),
    )
    op.create_index("ix_webhook_events_state_due", "webhook_events", ["state", "due_at"], unique=False)
    op.create_table(
        "transfers",
        sa.Column("id", sa.String(length=96), nullable=False, comment="chain id, transaction hash and log index"),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.String(length=42), nullable=False),
        sa.Column("sender", sa.String(length=42), nullable=False),
        sa.Column("recipient", sa.String(length=42), nullable=False),
        sa.Column("units", types.Uint256(), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=False),
        sa.Column("log_index", sa.Integer(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.String(length=66), nullable=False),
        sa.Column("session_id", sa.String(length=40), nullable=True, comment="the one session that claimed it"),
        sa.Column("seen_at", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f("fk_transfers_session_id_sessions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfers")),
        sa.UniqueConstraint("session_id", name=op.f("uq_transfers_session_id")),
    )
    op.create_index("ix_transfers_tx_hash", "transfers", ["tx_hash"], unique=False)
    op.create_index(
        "ix_transfers_unclaimed",
        "transfers",
        ["recipient"],
        unique=False,
        sqlite_where=sa.text("session_id IS NULL"),
        postgresql_where=sa.text("session_id IS NULL"),
    )
    op.create_table(
        "treasury_attempts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("transaction_id", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=66), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("max_fee", types.Uint256(), nullable=True),
        sa.Column("priority_fee", types.Uint256(), nullable=True),
        sa.Column("signer_request_id", sa.String(length=128), nullable=True),
        sa.Column("signed_at", types.UtcDateTime(), nullable=False),
        sa.Column("broadcasts", sa.Integer(), nullable=False),
        sa.Column("broadcast_at", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["treasury_transactions.id"],
            name=op.f("fk_treasury_attempts_transaction_id_treasury_transactions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_treasury_attempts")),
        sa.UniqueConstraint("hash", name=op.f("uq_treasury_attempts_hash")),
    )
    op.create_index(op.f("ix_treasury_attempts_transaction_id"), "treasury_attempts", ["transaction_id"], unique=False)


def downgrade() -> None:
    op.drop_table("treasury_attempts")
    op.drop_table("transfers")
    op.drop_table("webhook_events")
    op.drop_table("treasury_transactions")
    op.drop_table("treasury_payouts")
    op.drop_table("treasury_leaders")
    op.drop_table("treasury_history")
    op.drop_table("treasury_foreign")
    op.drop_table("treasury_balances")
    op.drop_table("sessions")
    op.drop_table("chain_cursors")
