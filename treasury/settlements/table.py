"""One row for each claim that a transaction brought USDC. What it clears stands in the ledger; the row says on whose word."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import Uint256, UtcDateTime


class State(StrEnum):
    """Where a claim stands."""

    AWAITING = "awaiting_approval"
    """One person said it, and the chain has not shown it."""
    SETTLED = "settled"
    REVERSING = "reversal_awaiting_approval"
    """It counts still; one person wants it taken back."""
    REVERSED = "reversed"
    REJECTED = "rejected"


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
)


@dataclass(frozen=True, slots=True)
class Settlement:
    """`amount` in base units of USDC; `verified`: found on its chain, so that one person was enough."""

    id: str
    tx_hash: str
    session_id: str | None
    amount: int
    status: State
    open_claim: str | None
    verified: bool
    evidence: str
    contradiction: str | None
    asked_by: str
    asked_person: str
    approved_by: str | None
    reversal_by: str | None
    reversal_person: str | None
    reversed_by: str | None
    note: str
    created_at: datetime
    updated_at: datetime

    @property
    def counts(self) -> bool:
        """Whether the ledger shows it as settled now."""
        return self.status in {State.SETTLED, State.REVERSING}


def to_settlement(row: sa.Row[Any]) -> Settlement:
    """A row as a value."""
    fields = dict(row._mapping)
    fields["status"] = State(row.status)
    return Settlement(**fields)
