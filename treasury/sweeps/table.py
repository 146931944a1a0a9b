"""One row for each sweep; amounts in base units of `token`, which is the zero address for the gas token; `decimals` are for people.

`active_key` is there while the sweep may still move money, so that an asset has one at a time; `window_key` is that of
a scheduled one, so that two triggers of one window make one sweep.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import Uint256, UtcDateTime, one_of
from treasury.core.status import Status
from treasury.sweeps.states import Kind

sweeps = sa.Table(
    "treasury_sweeps",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("chain_id", sa.BigInteger(), nullable=False),
    sa.Column("wallet", sa.String(42), nullable=False),
    sa.Column("asset", sa.String(16), nullable=False),
    sa.Column("token", sa.String(42), nullable=False),
    sa.Column("to_address", sa.String(42), nullable=False),
    sa.Column("amount", Uint256(), nullable=False),
    sa.Column("decimals", sa.Integer(), nullable=False, server_default="18"),
    sa.Column("reference", sa.String(66), nullable=False, unique=True),
    sa.Column("status", sa.String(32), nullable=False, index=True),
    sa.Column("reason", sa.String(64)),
    sa.Column("purpose", sa.Text(), nullable=False),
    sa.Column("policy_version", sa.String(64), nullable=False),
    sa.Column("safe_identity", sa.String(66), nullable=False),
    sa.Column("active_key", sa.String(160), unique=True),
    sa.Column("window_key", sa.String(160), unique=True),
    sa.Column("proposed_by", sa.String(64), nullable=False),
    sa.Column("proposed_person", sa.String(128), nullable=False),
    sa.Column("approved_by", sa.String(64)),
    sa.Column("approved_person", sa.String(128)),
    sa.Column("approval", sa.String(66)),
    sa.Column("expires_at", UtcDateTime()),
    sa.Column("transaction_id", sa.String(64)),
    sa.Column("tx_hash", sa.String(66)),
    sa.Column("block_number", sa.BigInteger()),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("updated_at", UtcDateTime(), nullable=False),
    one_of("status", Status),
    one_of("kind", Kind),
)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One movement to the cold wallet. `purpose` says why it was planned, `reason` why it waits."""

    id: str
    kind: Kind
    chain_id: int
    wallet: str
    asset: str
    token: str
    to: str
    amount: int
    decimals: int
    reference: str
    status: Status
    reason: str | None
    purpose: str
    policy_version: str
    safe_identity: str
    active_key: str | None
    window_key: str | None
    proposed_by: str
    proposed_person: str
    approved_by: str | None
    approved_person: str | None
    approval: str | None
    expires_at: datetime | None
    transaction_id: str | None
    tx_hash: str | None
    block_number: int | None
    created_at: datetime
    updated_at: datetime


def to_sweep(row: sa.Row[Any]) -> Sweep:
    """A row as a value."""
    fields = dict(row._mapping)
    fields["kind"], fields["status"] = Kind(row.kind), Status(row.status)
    fields["to"] = fields.pop("to_address")
    return Sweep(**fields)
