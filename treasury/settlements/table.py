"""One row for each claim that a transaction brought USDC. The ledger holds what it cleared; the row records the evidence for it."""

from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import Uint256, UtcDateTime, one_of
from treasury.settlements.model import Settlement
from treasury.settlements.states import SettlementStatus

settlements = sa.Table(
    "treasury_usdc_settlements",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("tx_hash", sa.String(66), nullable=False, index=True),
    sa.Column("session_id", sa.String(64), comment="null: the oldest sessions first"),
    sa.Column("amount", Uint256(), nullable=False),
    sa.Column("status", sa.String(32), nullable=False, index=True),
    sa.Column("open_claim", sa.String(140), comment="transaction and session; null once it is closed"),
    sa.Column("verified", sa.Boolean(), nullable=False, comment="found on the chain of USDC"),
    sa.Column("evidence", sa.Text(), nullable=False, server_default="", comment="what the chain said last"),
    sa.Column("contradiction", sa.Text(), comment="what the chain says against it"),
    sa.Column("asked_by", sa.String(64), nullable=False),
    sa.Column("asked_person", sa.String(128), nullable=False),
    sa.Column("approved_by", sa.String(64)),
    sa.Column("reversal_by", sa.String(64)),
    sa.Column("reversal_person", sa.String(128)),
    sa.Column("reversed_by", sa.String(64)),
    sa.Column("note", sa.Text(), nullable=False, server_default=""),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("updated_at", UtcDateTime(), nullable=False),
    sa.UniqueConstraint("open_claim"),
    one_of("status", SettlementStatus),
)


def to_settlement(row: sa.Row[Any]) -> Settlement:
    """Return a database row as a `Settlement`."""
    fields = dict(row._mapping)
    fields["status"] = SettlementStatus(row.status)
    return Settlement(**fields)
