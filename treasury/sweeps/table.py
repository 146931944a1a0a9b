"""One row for each sweep. Amounts are in base units of `token`, which is the zero address for the gas token; `decimals` are for people.

`active_key` is set while the sweep may still move money, and unique, so that an asset has one such sweep at a time. `window_key` is set for
a scheduled sweep, and unique, so that two triggers in one window make one sweep.
"""

from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import Uint256, UtcDateTime, one_of
from treasury.core.status import Status
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import SweepKind

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
    sa.Index("ix_treasury_sweeps_created", "created_at", "id"),
    one_of("status", Status),
    one_of("kind", SweepKind),
)


def to_sweep(row: sa.Row[Any]) -> Sweep:
    """Return a database row as a `Sweep`."""
    fields = dict(row._mapping)
    fields["kind"], fields["status"] = SweepKind(row.kind), Status(row.status)
    fields["to"] = fields.pop("to_address")
    return Sweep(**fields)
