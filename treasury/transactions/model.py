"""Transactions of a hot wallet, and the attempts to carry them out, as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from treasury.core.status import Status

BATCH_PREFIX: Final = "bat_"
"""The beginning of the operation id of a transaction that pays several payouts through PayOnce."""


class PaymentOutcome(StrEnum):
    """The outcome of one payment of a batch, as the chain has shown it."""

    PAID = "paid"
    FAILED = "failed"
    """The token refused the payment: nothing moved, and it may be made by another transaction."""
    PAID_BEFORE = "paid_before"
    """Another transaction of the wallet had paid the reference: nothing moved."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signature of a transaction. `raw` are the signed bytes, None only for a transaction found on chain whose bytes could not be rebuilt."""

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
class BatchPayment:
    """One payment of a batch, as it was signed; `amount` in base units, `log_index` that of the token's Transfer once it is proved.

    `payout_id` is None only for a payment found on chain whose payout is not known here (yet).
    """

    position: int
    payout_id: str | None
    session_id: str | None
    reference: str
    to: str
    amount: int
    outcome: PaymentOutcome | None = None
    log_index: int | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """One nonce of one wallet and what it carries out; amounts in base units of `token`.

    A batch pays `payments`, `to` is then the contract and `amount` their sum; otherwise there are none.
    """

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
    """The session whose purchase the transaction pays; None for a sweep, a batch, and a transaction that moves nothing."""
    attempts: tuple[Attempt, ...] = ()
    payments: tuple[BatchPayment, ...] = ()

    @property
    def is_batch(self) -> bool:
        """Whether the transaction pays through PayOnce."""
        return self.operation_id.startswith(BATCH_PREFIX)

    @property
    def operation_ids(self) -> tuple[str, ...]:
        """The ids of the payouts or the sweep that the transaction carries out."""
        if self.is_batch:
            return tuple(payment.payout_id for payment in self.payments if payment.payout_id is not None)
        return (self.operation_id,)
