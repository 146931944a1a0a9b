"""A sweep as a value."""

from dataclasses import dataclass
from datetime import datetime

from treasury.core.status import Status
from treasury.sweeps.states import SweepKind


@dataclass(frozen=True, slots=True)
class Sweep:
    """One movement of coins to the cold wallet. `purpose` says why it was planned, `reason` why it waits."""

    id: str
    kind: SweepKind
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
