"""Transactions and the attempts to carry them out.

`nonce` is empty once it was given back or lost to another transaction; the history keeps the number. The unique key
lets one transaction at a time hold a nonce.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import Uint256, UtcDateTime, one_of
from treasury.core.status import Status

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
    sa.Column("block_number", sa.BigInteger()),
    sa.Column("block_hash", sa.String(66)),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("updated_at", UtcDateTime(), nullable=False),
    sa.UniqueConstraint("chain_id", "wallet", "nonce"),
    sa.Index("ix_treasury_transactions_state", "chain_id", "wallet", "status", "nonce"),
    sa.Index("ix_treasury_transactions_created", "created_at"),
    sa.Index("ix_treasury_transactions_block", "wallet", "block_number"),
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


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signature: the exact bytes. `raw` is None only for a transaction found on chain whose bytes nobody has."""

    id: str
    transaction_id: str
    hash: str
    raw: bytes | None
    max_fee: int | None
    priority_fee: int | None
    signer_request_id: str | None
    signed_at: datetime
    broadcasts: int
    broadcast_at: datetime | None


@dataclass(frozen=True, slots=True)
class Transaction:
    """One nonce of one wallet and what it is for; amounts in base units of `token`."""

    id: str
    chain_id: int
    wallet: str
    nonce: int | None
    status: Status
    operation_id: str
    token: str
    to: str
    amount: int
    reference: str | None
    gas_limit: int | None
    adopted: bool
    stall: str | None
    block_number: int | None
    block_hash: str | None
    created_at: datetime
    updated_at: datetime
    session_id: str | None = None
    """Of the purchase that it pays; None for a sweep, and for one that moves nothing."""
    attempts: tuple[Attempt, ...] = ()


def to_attempt(row: sa.Row[Any]) -> Attempt:
    """A row as a value."""
    fields = dict(row._mapping)
    fields["raw"] = None if row.raw is None else bytes(row.raw)
    return Attempt(**fields)


def to_transaction(row: sa.Row[Any], tries: tuple[Attempt, ...] = ()) -> Transaction:
    """A row as a value, with its attempts."""
    fields = dict(row._mapping)
    fields["status"] = Status(row.status)
    fields["to"] = fields.pop("to_address")
    return Transaction(**fields, attempts=tries)
