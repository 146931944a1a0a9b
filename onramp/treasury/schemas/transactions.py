"""Response models of the hot wallet's transactions."""

from kit.clock import rfc3339
from kit.http.documents import Document
from kit.money import format_units
from onramp.treasury.schemas.common import HistoryLine, history_lines
from treasury.core.assets import MUSD_DECIMALS
from treasury.core.history import HistoryEntry
from treasury.transactions.model import PaymentOutcome, Transaction


class AttemptResponse(Document):
    """One signature of a transaction; `maxFeePerGas` is in wei, and null for a transaction that was found on chain."""

    hash: str
    max_fee_per_gas: str | None
    signed_at: str
    signer_request_id: str | None
    broadcasts: int


class BatchPaymentResponse(Document):
    """One payment of a transaction of PayOnce.

    `outcome` and `logIndex`, of the token's Transfer in the block, are null until the chain has decided. `payoutId` is null only for a
    payment that was found on chain and whose payout is not known here.
    """

    payout_id: str | None
    session_id: str | None
    reference: str
    to: str
    amount: str
    outcome: PaymentOutcome | None
    log_index: int | None


class TransactionResponse(Document):
    """A transaction of the hot wallet; `nonce` is null once it was given back, `stall` says why the transaction does not advance.

    A transaction that calls PayOnce has `payments`, `to` is then the contract and `amount` their sum; other transactions have none.
    """

    id: str
    wallet: str
    nonce: int | None
    status: str
    stall: str | None
    operation_id: str
    token: str
    to: str
    amount: str
    payments: list[BatchPaymentResponse]
    attempts: list[AttemptResponse]
    block_number: int | None
    created_at: str
    updated_at: str
    history: list[HistoryLine]


def transaction(row: Transaction, entries: list[HistoryEntry], decimals: int = MUSD_DECIMALS) -> TransactionResponse:
    """Return the response for one transaction with its signatures and history; `decimals` are those of the asset it moves."""
    return TransactionResponse(
        id=row.id,
        wallet=row.wallet,
        nonce=row.nonce,
        status=row.status,
        stall=row.stall,
        operation_id=row.operation_id,
        token=row.token,
        to=row.to,
        amount=format_units(row.amount, decimals),
        payments=[
            BatchPaymentResponse(
                payout_id=payment.payout_id,
                session_id=payment.session_id,
                reference=payment.reference,
                to=payment.to,
                amount=format_units(payment.amount, decimals),
                outcome=payment.outcome,
                log_index=payment.log_index,
            )
            for payment in row.payments
        ],
        attempts=[
            AttemptResponse(
                hash=attempt.hash,
                max_fee_per_gas=None if attempt.max_fee is None else str(attempt.max_fee),
                signed_at=rfc3339(attempt.signed_at),
                signer_request_id=attempt.signer_request_id,
                broadcasts=attempt.broadcasts,
            )
            for attempt in row.attempts
        ],
        block_number=row.block_number,
        created_at=rfc3339(row.created_at),
        updated_at=rfc3339(row.updated_at),
        history=history_lines(entries),
    )
