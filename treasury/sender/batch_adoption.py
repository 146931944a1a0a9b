"""Explain a transaction of the contract PayOnce that the database does not know: each of its payments names the payout that it paid.

The transaction is stored at once with all its payments, so that each of its references counts as used. A payment whose payout is not known
here stays unclaimed, and the transaction unmatched, until a session rebuilt from Stripe claims it or persons resolve it.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.abi.payonce import Payment, decode_pay
from chain.payonce import ADDRESS
from treasury.core.facts import OperationFact
from treasury.core.status import IN_FLIGHT, Status
from treasury.incidents import unmatched
from treasury.incidents.model import UnmatchedTransaction
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.ports import FeeQuote, OwnTransaction
from treasury.sender import operations
from treasury.sender.context import SenderContext, log
from treasury.sender.displacement import displace
from treasury.sender.intents import pay_intent, payments_of
from treasury.signers.protocol import Signed
from treasury.transactions import queries
from treasury.transactions import service as transactions_service
from treasury.transactions.model import BATCH_PREFIX, BatchPayment, PaymentOutcome, Transaction

_UNKNOWN_FEES = FeeQuote(0, 0)


class BatchAdoption:
    """Adopts the batches of one wallet."""

    def __init__(self, context: SenderContext) -> None:
        self._context = context

    async def adopt(self, conn: AsyncConnection, transaction: OwnTransaction) -> bool:
        """Store a batch found on chain and give its payments to their payouts; return False, storing nothing, if the transaction is no batch."""
        context = self._context
        payments = self._decode(transaction)
        if payments is None:
            return False
        holder = await queries.by_nonce(conn, context.hot_wallet, transaction.nonce)
        if holder is not None and holder.status in IN_FLIGHT and holder.is_batch and payments_of(holder) == payments:
            # Signed twice for the same payments at one nonce: only one could be mined, and it is this one.
            signed = Signed(raw=transaction.raw or b"", hash=transaction.hash, request_id="")
            now = context.clock.now()
            await transactions_service.add_attempt(conn, holder.id, signed, intent=None, now=now, ids=context.ids)
            return True
        await displace(context, conn, transaction.nonce, transaction.hash)
        batch = await self._store(conn, transaction, payments)
        unclaimed = await self._claim(conn, batch)
        if unclaimed:
            await self._record_unclaimed(conn, transaction, unclaimed[0])
        else:
            # Its nonce may have been recorded as unmatched while the nodes did not show the transaction.
            await unmatched.match_nonce(conn, context.hot_wallet, transaction.nonce, batch.operation_id)
        log.warning("treasury.adopted", **operations.ids_of(batch), tx_hash=transaction.hash, nonce=transaction.nonce)
        return True

    async def match_late(self, conn: AsyncConnection, row: UnmatchedTransaction) -> bool:
        """Give the payments of an unmatched batch to payouts that were stored later; return False if the row is not a batch."""
        batch = await queries.by_nonce(conn, self._context.hot_wallet, row.nonce)
        if batch is None or not batch.is_batch:
            return False
        unclaimed = await self._claim(conn, batch)
        if not unclaimed:
            await unmatched.match(conn, row.id, batch.operation_id)
        elif unclaimed[0].reference != row.reference:
            first = unclaimed[0]
            await unmatched.set_payment(conn, row.id, first.to, first.amount, first.reference)
        return True

    def _decode(self, transaction: OwnTransaction) -> tuple[Payment, ...] | None:
        config = self._context.config
        if transaction.to not in {ADDRESS, config.contract}:
            return None
        try:
            token, payments = decode_pay(transaction.data)
        except ValueError:
            return None
        # More than there can be of the token: no row could hold it, and the call cannot have paid it.
        is_possible = sum(payment.amount for payment in payments) < 2**256
        return payments if token == config.token and is_possible else None

    async def _store(
        self, conn: AsyncConnection, transaction: OwnTransaction, payments: tuple[Payment, ...]
    ) -> Transaction:
        context, config, now = self._context, self._context.config, self._context.clock.now()
        assert transaction.to is not None
        intent = pay_intent(config, transaction.to, config.token, payments, transaction.nonce, 0, _UNKNOWN_FEES)
        operation_id, raw = context.ids.new(BATCH_PREFIX), transaction.raw
        row_id = await transactions_service.adopt(
            conn, intent, operation_id, tx_hash=transaction.hash, raw=raw, now=now, ids=context.ids
        )
        await transactions_service.add_payments(conn, row_id, intent, [None] * len(payments))
        batch = await queries.get(conn, row_id)
        assert batch is not None
        return batch

    async def _claim(self, conn: AsyncConnection, batch: Transaction) -> list[BatchPayment]:
        """Give each unclaimed payment to its payout, if that is exactly what it pays; return those that stay unclaimed."""
        left = []
        for payment in unclaimed_of(batch):
            payout = await payouts_service.by_reference(conn, payment.reference)
            if payout is not None and self._pays(batch, payment, payout):
                await self._give(conn, batch, payment, payout)
            else:
                left.append(payment)
        return left

    def _pays(self, batch: Transaction, payment: BatchPayment, payout: Payout) -> bool:
        if (payout.to, payout.amount, payout.token, payout.wallet) != (
            payment.to,
            payment.amount,
            batch.token,
            batch.wallet,
        ):
            return False
        return not operations.refuses(payout, OperationFact.ADOPTED)

    async def _give(self, conn: AsyncConnection, batch: Transaction, payment: BatchPayment, payout: Payout) -> None:
        now, tx_hash = self._context.clock.now(), batch.attempts[-1].hash
        note = "found on chain by its reference"
        values: dict[str, Any] = {"transaction_id": batch.id, "tx_hash": tx_hash, "reason": None}
        await transactions_service.set_payout(conn, batch.id, payment.position, payout.id)
        await operations.move(conn, payout.id, OperationFact.ADOPTED, now=now, note=note, **values)
        if batch.status is Status.FINAL:
            # The chain has proved this payment already, together with the others of its batch.
            note, number = f"block {batch.block_number}", batch.block_number
            await operations.move(conn, payout.id, OperationFact.MINED, now=now, note=note, block_number=number)
            await operations.move(conn, payout.id, OperationFact.PROVEN, now=now, note=note)
        log.warning("treasury.adopted", **operations.ids_of(payout), tx_hash=tx_hash, nonce=batch.nonce)

    async def _record_unclaimed(self, conn: AsyncConnection, transaction: OwnTransaction, first: BatchPayment) -> None:
        context = self._context
        await unmatched.record(
            conn,
            context.hot_wallet,
            transaction.nonce,
            now=context.clock.now(),
            ids=context.ids,
            note="a batch with a payment whose reference no row explains yet",
            tx_hash=transaction.hash,
            raw=transaction.raw,
            token=context.config.token,
            to_address=first.to,
            amount=first.amount,
            reference=first.reference,
            block_number=transaction.block_number,
        )


def unclaimed_of(batch: Transaction) -> Sequence[BatchPayment]:
    """Return the payments of a batch that moved, or may have moved, tokens for no payout that is known here."""
    if batch.status is Status.REVERTED:
        # Nothing moved: a payout that got it would wait for a proof that never comes.
        return []
    return [
        payment
        for payment in batch.payments
        if payment.payout_id is None and payment.outcome in {None, PaymentOutcome.PAID}
    ]
