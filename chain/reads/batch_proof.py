"""Prove what a transaction of the contract PayOnce did with each of its payments.

The contract's own events say which payments it made, and the token's events say that the tokens moved: both must agree for a payment to
count. A payment that the token refused moved nothing and does not concern the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chain.abi.payonce import AlreadyPaid, Failed, Paid, Payment, decode_event
from chain.node.batch import Batcher
from chain.pool.pool import Pool
from chain.reads.receipts import Receipt
from chain.reads.transfer_proof import (
    ExpectedTransfer,
    Mismatch,
    Reverted,
    SettledReceipt,
    Waiting,
    match_transfer,
    settled_receipt,
    transfers_of,
)
from chain.types import Address, BlockRef, Transfer


@dataclass(frozen=True, slots=True)
class ExpectedBatch:
    """A call of `contract` by `payer` that pays `payments` in `token`. No recipient and no reference may occur twice."""

    contract: Address
    payer: Address
    token: Address
    payments: Sequence[Payment]


PaymentResult = Transfer | Failed | AlreadyPaid
"""The outcome of one payment: the tokens moved, the token refused, or the reference had been paid before."""


@dataclass(frozen=True, slots=True)
class ProvenBatch:
    """The transaction is in this block and can no longer change; `results` has one entry for each payment, by its reference.

    `cost` is the fee in wei that one node reports, None if it does not. `agreed_by` names the providers that returned the receipt.
    """

    block: BlockRef
    results: Mapping[bytes, PaymentResult]
    agreed_by: tuple[str, ...]
    cost: int | None = field(default=None, compare=False)


BatchProofResult = ProvenBatch | Waiting | Mismatch | Reverted


async def prove_batch(
    pool: Pool, tx_hash: str, expected: ExpectedBatch, batcher: Batcher | None = None
) -> BatchProofResult:
    """Return what the transaction `tx_hash` did with each payment. Never raises for what nodes do.

    Raises ValueError if `tx_hash` is not a hash.
    """
    settled = await settled_receipt(pool, tx_hash, batcher)
    if not isinstance(settled, SettledReceipt):
        return settled
    receipt = settled.receipt
    results = batch_results(receipt, expected)
    if isinstance(results, str):
        return Mismatch(results, receipt.block, receipt.cost)
    return ProvenBatch(receipt.block, results, settled.agreed_by, receipt.cost)


def batch_results(receipt: Receipt, expected: ExpectedBatch) -> dict[bytes, PaymentResult] | str:
    """Return the result of each payment, by its reference, or a sentence that describes what the receipt contains instead."""
    events = _events_of(receipt, expected.contract)
    if isinstance(events, str):
        return events
    payments = {payment.reference: payment for payment in expected.payments}
    transfers = _TransfersOf(receipt, expected.token)
    results: dict[bytes, PaymentResult] = {}
    for event in events:
        payment = payments.get(event.reference)
        if payment is None or event.payer != expected.payer or event.reference in results:
            return f"an event of the contract about a payment that was not signed: 0x{event.reference.hex()}"
        result = _transfer_of(transfers, expected, payment, event) if isinstance(event, Paid) else event
        if isinstance(result, str):
            return result
        results[event.reference] = result
    missing = payments.keys() - results.keys()
    return f"no event of the contract about {len(missing)} payments" if missing else results


def _events_of(receipt: Receipt, contract: Address) -> list[Paid | Failed | AlreadyPaid] | str:
    events = []
    for address, topics, data, _ in receipt.logs:
        if address == contract:
            try:
                event = decode_event(topics, data)
            except ValueError as error:
                return str(error)
            if event is None:
                return "an event that the contract does not have"
            events.append(event)
    return events


class _TransfersOf:
    """The transfers of one token in a receipt, decoded once for all payments of a batch."""

    def __init__(self, receipt: Receipt, token: Address) -> None:
        self._all = [transfer for transfer in transfers_of(receipt) if transfer.token == token]
        self._by_recipient: dict[Address, list[Transfer]] = {}
        for transfer in self._all:
            self._by_recipient.setdefault(transfer.recipient, []).append(transfer)

    def to(self, recipient: Address) -> Sequence[Transfer]:
        """Return the transfers to the recipient; if there are none, all of them, so that the difference can be described."""
        return self._by_recipient.get(recipient) or self._all


def _transfer_of(transfers: _TransfersOf, expected: ExpectedBatch, payment: Payment, event: Paid) -> Transfer | str:
    if (event.to, event.token, event.amount) != (payment.to, expected.token, payment.amount):
        return f"the contract paid 0x{event.reference.hex()} otherwise than was signed"
    transfer = ExpectedTransfer(expected.token, payment.to, payment.amount, expected.payer)
    return match_transfer(transfers.to(payment.to), transfer)
