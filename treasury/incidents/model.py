"""Unmatched transactions, and the resolutions of incidents, as values."""

from dataclasses import dataclass
from datetime import datetime

from treasury.incidents.states import ResolutionStatus


@dataclass(frozen=True, slots=True)
class UnmatchedTransaction:
    """A nonce of the wallet that no transaction of ours used.

    `tx_hash` is None while the transaction that used it has not been found; `amount` is in base units. `payout_id` is set once a payout
    turns out to be what it paid, `answered_at` once two persons have resolved it.
    """

    id: str
    chain_id: int
    wallet: str
    nonce: int
    tx_hash: str | None
    raw: bytes | None
    token: str | None
    to: str | None
    amount: int | None
    reference: str | None
    note: str
    block_number: int | None
    noticed_at: datetime
    payout_id: str | None
    answered_by: str | None
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Resolution:
    """The explanation that persons give for missing coins or an unmatched transaction.

    `subject` is an asset or the id of an unmatched transaction. `amount` is what was missing when the first person explained it, in base
    units, and 0 for a transaction.
    """

    id: str
    subject: str
    status: ResolutionStatus
    amount: int
    asked_by: str
    asked_person: str
    answered_by: str | None
    note: str
    at: datetime
