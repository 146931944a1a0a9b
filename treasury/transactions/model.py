"""Transactions of a hot wallet, and the attempts to carry them out, as values."""

from dataclasses import dataclass
from datetime import datetime

from treasury.core.status import Status


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signature: the exact bytes. `raw` is None only for a transaction found on chain whose bytes could not be rebuilt."""

    id: str
    transaction_id: str
    hash: str
    raw: bytes | None
    max_fee: int | None
    priority_fee: int | None
    signer_request_id: str | None
    signed_at: datetime
    broadcasts: int
    broadcast_at: datetime | None


@dataclass(frozen=True, slots=True)
class Transaction:
    """One nonce of one wallet and what it carries out; amounts in base units of `token`."""

    id: str
    chain_id: int
    wallet: str
    nonce: int | None
    status: Status
    operation_id: str
    token: str
    to: str
    amount: int
    reference: str | None
    gas_limit: int | None
    adopted: bool
    stall: str | None
    block_number: int | None
    block_hash: str | None
    created_at: datetime
    updated_at: datetime
    session_id: str | None = None
    """The session whose purchase it pays; None for a sweep, and for a transaction that moves nothing."""
    attempts: tuple[Attempt, ...] = ()
