"""A payout as a value."""

from dataclasses import dataclass
from datetime import datetime

from treasury.core.status import Status


@dataclass(frozen=True, slots=True)
class Payout:
    """The MUSD that one buyer is owed. `tx_hash` is set once signed bytes are stored, `block_number` once their transaction is mined.

    `retry_by` is the caller who proposed another attempt, while that waits for a second person. `cleared_by` is the caller who let the
    payout through although its recipient is on the sanctions list.
    """

    id: str
    session_id: str
    stripe_session_id: str
    wallet: str
    asset: str
    token: str
    to: str
    amount: int
    reference: str
    status: Status
    reason: str | None
    transaction_id: str | None
    tx_hash: str | None
    block_number: int | None
    approved_by: str | None
    approved_person: str | None
    retry_by: str | None
    retry_person: str | None
    cleared_by: str | None
    created_at: datetime
    updated_at: datetime
