"""Decide by the chain whether each payment of a batch was made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.abi.payonce import AlreadyPaid
from chain.reads.batch_proof import BatchProofResult, ProvenBatch
from chain.reads.transfer_proof import Mismatch, ProofResult
from chain.types import Transfer
from treasury.core.assets import NATIVE
from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import ENDED, IN_FLIGHT, Status
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.sender import operations
from treasury.sender.context import SenderContext
from treasury.sender.intents import payments_of
from treasury.transactions import service as transactions_service
from treasury.transactions.model import Attempt, BatchPayment, PaymentOutcome, Transaction
from treasury.transitions import Change


async def prove_attempt(
    context: SenderContext, transaction: Transaction, attempt: Attempt
) -> ProofResult | BatchProofResult:
    """Return what the chain shows of one signature of a transaction."""
    if transaction.is_batch:
        payments = payments_of(transaction)
        return await context.chain.prove_batch(transaction.to, transaction.token, attempt.hash, payments)
    verdict = await context.chain.prove(transaction.token, attempt.hash, transaction.to, transaction.amount)
    if isinstance(verdict, Mismatch) and operations.kind_of(transaction.operation_id) == "nothing":
        # An empty transfer, to the wallet itself, may have replaced a deployment or an approval.
        verdict = await context.chain.prove(NATIVE, attempt.hash, context.config.wallet, 0)
    return verdict


_Outcome = tuple[BatchPayment, PaymentOutcome, int | None]


@dataclass(frozen=True, slots=True)
class FailedPayment:
    """A payment of a final batch that moved nothing: its payout, the ids of its log lines, and why, as a clause."""

    payout_id: str
    ids: Mapping[str, str]
    note: str


@dataclass(frozen=True, slots=True)
class SettledBatch:
    """The payouts that a batch has paid, as changes to be applied with the facts MINED and PROVEN, and those that it has not paid.

    `forged`: the ids of payouts whose rows differ from what was signed, or are in a status that no step of the sender gives them; they stay
    as they are.
    """

    paid: Sequence[Change]
    failed: Sequence[FailedPayment]
    forged: Sequence[str]


async def settle_batch(
    conn: AsyncConnection,
    batch: Transaction,
    verdict: ProvenBatch,
    note: str,
    values: Mapping[str, Any],
    *,
    now: datetime,
) -> SettledBatch:
    """Record the outcome of each payment, and the payouts that were not paid as `reverted`; return both groups of payouts.

    `note` and `values` (columns) are for those that were paid. A payout that this batch has not paid keeps its state if another transaction
    carries it out by now, or if it has ended, for example because persons made it good.
    """
    results = [verdict.results[bytes.fromhex(payment.reference[2:])] for payment in batch.payments]
    outcomes = [_outcome(payment, result) for payment, result in zip(batch.payments, results, strict=True)]
    await transactions_service.set_outcomes(conn, batch.id, outcomes)
    paid_twice = await _take_over(conn, batch, outcomes, values, now=now)
    payouts = {payout.id: payout for payout in await operations.payouts_of(conn, batch)}
    paid: list[Change] = []
    failed: list[FailedPayment] = []
    forged = list(paid_twice)
    for (payment, outcome, _), result in zip(outcomes, results, strict=True):
        payout = payouts.get(payment.payout_id or "")
        if payout is None or (outcome is not PaymentOutcome.PAID and payout.status in ENDED):
            continue
        fact = OperationFact.MINED if outcome is PaymentOutcome.PAID else OperationFact.REVERTED
        is_as_signed = (payout.reference, payout.to, payout.amount) == (payment.reference, payment.to, payment.amount)
        if not is_as_signed or operations.refuses(payout, fact):
            forged.append(payout.id)
        elif fact is OperationFact.MINED:
            paid.append(Change(payout.id, note, values, payout.status))
        else:
            failed.append(await _fail(conn, batch, payment, payout, result, now=now))
    return SettledBatch(paid, failed, forged)


async def _take_over(
    conn: AsyncConnection, batch: Transaction, outcomes: Sequence[_Outcome], values: Mapping[str, Any], *, now: datetime
) -> list[str]:
    """Assign to the batch each payout that it has paid but no longer carried out; return the ids of those that have ended in another way.

    That is so if the token refused a payment, persons let the payout be paid again, and a reorganization let the token accept the first
    payment after all. The contract refuses the other one.
    """
    ended = []
    paid = [payment.payout_id for payment, outcome, _ in outcomes if outcome is PaymentOutcome.PAID]
    for payout in await payouts_service.get_all(conn, [payout_id for payout_id in paid if payout_id is not None]):
        if payout.transaction_id == batch.id:
            continue
        fact = OperationFact.BROADCAST if payout.status in IN_FLIGHT else OperationFact.ADOPTED
        if payout.status is Status.CANCELLED or operations.refuses(payout, fact):
            ended.append(payout.id)
            continue
        note = "an earlier transaction, which had failed to pay it, has paid it after a reorganization"
        taken = {"transaction_id": batch.id, "tx_hash": values["tx_hash"], "reason": None}
        await operations.move(conn, payout.id, fact, now=now, note=note, **taken)
    return ended


async def _fail(
    conn: AsyncConnection, batch: Transaction, payment: BatchPayment, payout: Payout, result: Any, *, now: datetime
) -> FailedPayment:
    if isinstance(result, AlreadyPaid):
        # The transaction that paid it is adopted as its payment once it is explained, which happens before anything else is signed.
        note = f"another transaction of the wallet had paid its reference in block {result.block_number}"
        reason: Reason | None = Reason.REFERENCE_SPENT
    else:
        note, reason = "the token refused this payment; the others of its batch were made", None
    await operations.move(conn, payout.id, OperationFact.REVERTED, now=now, note=note, reason=reason)
    return FailedPayment(payout.id, operations.ids_of_payment(batch, payment), note)


def _outcome(payment: BatchPayment, result: Any) -> _Outcome:
    if isinstance(result, Transfer):
        return payment, PaymentOutcome.PAID, result.log_index
    return payment, PaymentOutcome.PAID_BEFORE if isinstance(result, AlreadyPaid) else PaymentOutcome.FAILED, None
