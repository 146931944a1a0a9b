"""One settlement of USDC in the shape of the outside."""

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.money import format_units
from treasury.core.assets import USDC_DECIMALS
from treasury.settlements.model import Settlement
from treasury.settlements.states import SettlementStatus


class SettlementResponse(Document):
    """One claim that a transaction brought USDC.

    `status` is `awaiting_approval` until a second person makes the same claim; `verified`: its chain shows it, and no second
    person was needed. `evidence` is what the chain said then, `contradiction` what it says against it now.
    """

    id: str | None
    tx_hash: str
    session_id: str | None
    amount: str
    status: SettlementStatus
    verified: bool
    evidence: str
    contradiction: str | None
    proposed_by: str
    approved_by: str | None
    reversal_by: str | None
    reversed_by: str | None
    note: str
    created_at: str
    updated_at: str


def settlement(row: Settlement) -> SettlementResponse:
    """One of them."""
    return SettlementResponse(
        id=row.id,
        tx_hash=row.tx_hash,
        session_id=row.session_id,
        amount=format_units(row.amount, USDC_DECIMALS),
        status=row.status,
        verified=row.verified,
        evidence=row.evidence,
        contradiction=row.contradiction,
        proposed_by=row.asked_by,
        approved_by=row.approved_by,
        reversal_by=row.reversal_by,
        reversed_by=row.reversed_by,
        note=row.note,
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(row.updated_at),
    )
