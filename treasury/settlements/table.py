"""One row for each claim that a transaction brought USDC. The ledger holds what it cleared; the row records the evidence for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from kit.db.types import Uint256, UtcDateTime, one_of
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


@dataclass(frozen=True, slots=True)
class Settlement:
    """A claim that a transaction brought USDC; `amount` is in its base units.

    `verified`: the chain of USDC shows it, so one person was enough. `contradiction`: what the chain shows against it. `session_id` is None
    for a claim that clears the oldest sessions first.
    """

    id: str
    tx_hash: str
    session_id: str | None
    amount: int
    status: SettlementStatus
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
        """Whether the ledger counts it as settled."""
        return self.status in {SettlementStatus.SETTLED, SettlementStatus.REVERSING}


def to_settlement(row: sa.Row[Any]) -> Settlement:
    """Return the value of a row."""
    fields = dict(row._mapping)
    fields["status"] = SettlementStatus(row.status)
    return Settlement(**fields)
