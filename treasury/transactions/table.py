"""The tables of transactions, of the attempts to carry them out, and of the payments of batches.

`nonce` is empty once it was released or lost to another transaction; the history keeps the number. The unique key lets one transaction at
a time hold a nonce.
"""

from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import Uint256, UtcDateTime, one_of
from treasury.core.status import Status
from treasury.transactions.model import Attempt, BatchPayment, PaymentOutcome, Transaction

transactions = sa.Table(
    "treasury_transactions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("chain_id", sa.BigInteger(), nullable=False),
    sa.Column("wallet", sa.String(42), nullable=False),
    sa.Column("nonce", sa.BigInteger()),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("operation_id", sa.String(64), nullable=False, index=True),
    sa.Column("token", sa.String(42), nullable=False),
    sa.Column("to_address", sa.String(42), nullable=False),
    sa.Column("amount", Uint256(), nullable=False),
    sa.Column("reference", sa.String(66), index=True),
    sa.Column("gas_limit", sa.BigInteger()),
    sa.Column("adopted", sa.Boolean(), nullable=False, default=False),
    sa.Column("stall", sa.String(64)),
    sa.Column(
        "gas_posted", sa.Boolean(), nullable=False, server_default=sa.false(), comment="set by a trigger of the ledger"
    ),
    sa.Column("block_number", sa.BigInteger()),
    sa.Column("block_hash", sa.String(66)),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("updated_at", UtcDateTime(), nullable=False),
    sa.UniqueConstraint("chain_id", "wallet", "nonce"),
    sa.Index("ix_treasury_transactions_state", "chain_id", "wallet", "status", "nonce"),
    sa.Index("ix_treasury_transactions_created", "created_at"),
    sa.Index("ix_treasury_transactions_block", "wallet", "block_number"),
    sa.Index(
        "ix_treasury_transactions_gas",
        "chain_id",
        "wallet",
        "nonce",
        sqlite_where=sa.text("gas_posted = 0"),
        postgresql_where=sa.text("NOT gas_posted"),
    ),
    one_of("status", Status),
)

attempts = sa.Table(
    "treasury_attempts",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("transaction_id", sa.String(64), sa.ForeignKey("treasury_transactions.id"), nullable=False, index=True),
    sa.Column("hash", sa.String(66), nullable=False, unique=True),
    sa.Column("raw", sa.LargeBinary()),
    sa.Column("max_fee", Uint256()),
    sa.Column("priority_fee", Uint256()),
    sa.Column("signer_request_id", sa.String(128)),
    sa.Column("signed_at", UtcDateTime(), nullable=False),
    sa.Column("broadcasts", sa.Integer(), nullable=False, default=0),
    sa.Column("broadcast_at", UtcDateTime()),
)

batch_payments = sa.Table(
    "treasury_batch_payments",
    metadata,
    sa.Column("transaction_id", sa.String(64), sa.ForeignKey("treasury_transactions.id"), primary_key=True),
    sa.Column("position", sa.Integer(), primary_key=True),
    sa.Column("payout_id", sa.String(64), index=True, comment="null: found on chain, and its payout is not known here"),
    sa.Column("reference", sa.String(66), nullable=False, index=True),
    sa.Column("to_address", sa.String(42), nullable=False),
    sa.Column("amount", Uint256(), nullable=False),
    sa.Column("outcome", sa.String(16), comment="null: the chain has not decided"),
    sa.Column("log_index", sa.Integer(), comment="of the Transfer in the block, once it is proved"),
    one_of("outcome", PaymentOutcome),
)


def to_batch_payment(row: sa.Row[Any]) -> BatchPayment:
    """Return the value of a payment's row, which has its payout's `session_id` as well."""
    return BatchPayment(
        position=row.position,
        payout_id=row.payout_id,
        session_id=row.session_id,
        reference=row.reference,
        to=row.to_address,
        amount=row.amount,
        outcome=None if row.outcome is None else PaymentOutcome(row.outcome),
        log_index=row.log_index,
    )


def to_attempt(row: sa.Row[Any]) -> Attempt:
    """Return the value of an attempt row."""
    fields = dict(row._mapping)
    fields["raw"] = None if row.raw is None else bytes(row.raw)
    return Attempt(**fields)


def to_transaction(
    row: sa.Row[Any], attempts: tuple[Attempt, ...] = (), payments: tuple[BatchPayment, ...] = ()
) -> Transaction:
    """Return the value of a transaction row, with its attempts and, for a batch, its payments."""
    fields = dict(row._mapping)
    fields["status"] = Status(row.status)
    fields["to"] = fields.pop("to_address")
    del fields["gas_posted"]
    return Transaction(**fields, attempts=attempts, payments=payments)
