"""A settlement as a value."""

from dataclasses import dataclass
from datetime import datetime

from treasury.settlements.states import SettlementStatus


@dataclass(frozen=True, slots=True)
class Settlement:
    """A claim that a transaction brought USDC; `amount` is in its base units.

    `verified`: the chain of USDC shows the transfer, so one person was enough. `contradiction`: what the chain shows against it.
    `session_id` is None for a claim that clears the oldest sessions first.
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
        """Whether the ledger counts the claim as settled."""
        return self.status in {SettlementStatus.SETTLED, SettlementStatus.REVERSING}
