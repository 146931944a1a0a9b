"""Offer a higher fee for a transaction that is not mined, only if the old one cannot be mined as well.

Mezo accepts no second transaction with a nonce while it knows the first, and silently forgets one whose fee falls below the moving
minimum. So there, another attempt is signed only after no node has known the old ones for several blocks and the chain asks for a
higher fee. On other chains a higher fee replaces a waiting transaction. All attempts have one nonce, so only one can be mined.

A deployment or an approval of PayOnce has no operation, and what replaces it is an empty transfer: it is not made, payouts behind it go on,
and a person repeats the command. Whichever is mined is proved, because neither moves anything.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.cold.identity import Verified
from treasury.core.reasons import Reason
from treasury.core.status import IN_FLIGHT
from treasury.ports import FeeQuote, WalletView
from treasury.sender import operations
from treasury.sender.context import SenderContext, log
from treasury.sender.intents import is_for_restore, repeated_intent
from treasury.sender.operations import Operation
from treasury.sender.signer_calls import SignerCalls
from treasury.signers.signed_transaction import is_signed
from treasury.sweeps.model import Sweep
from treasury.sweeps.states import SweepKind
from treasury.transactions import queries
from treasury.transactions import service as transactions_service
from treasury.transactions.model import Transaction


class FeeBump:
    """Offers higher fees, after counting the blocks that a transaction waits. A restart begins at zero, so the wait only gets longer."""

    def __init__(self, context: SenderContext, signing: SignerCalls) -> None:
        self._context = context
        self._signing = signing
        self._waiting_since: dict[str, int] = {}
        """The block at which each transaction (by its id) was first seen to wait or to be gone."""
        self._is_gone: dict[str, bool] = {}

    async def check_gone(self, unmined: Sequence[Transaction]) -> None:
        """Ask the nodes, not before the next broadcast is due, whether they have forgotten these transactions; all are asked about at once."""
        context, seconds = self._context, self._context.config.rebroadcast_seconds
        self._is_gone.clear()
        if context.config.replaces:
            return
        before = context.clock.now() - timedelta(seconds=seconds)
        attempts = [
            (transaction.id, attempt)
            for transaction in unmined
            if all(attempt.broadcast_at is None or attempt.broadcast_at <= before for attempt in transaction.attempts)
            and context.throttle.due(f"gone:{transaction.id}", seconds)
            for attempt in transaction.attempts
        ]
        results = await asyncio.gather(*(context.chain.gone(attempt.hash) for _, attempt in attempts))
        for (transaction_id, _), gone in zip(attempts, results, strict=True):
            self._is_gone[transaction_id] = gone and self._is_gone.get(transaction_id, True)

    async def offer(self, transaction: Transaction, view: WalletView) -> bool:
        """Sign another attempt if the transaction waited long enough and nothing forbids it; return whether one was stored."""
        context, config = self._context, self._context.config
        offered = [(attempt.max_fee, attempt.priority_fee or 0) for attempt in transaction.attempts if attempt.max_fee]
        if not offered or transaction.nonce is None or not self._is_time(transaction, view):
            return False
        fees = await context.chain.fees()
        highest = max(max_fee for max_fee, _ in offered)
        if not config.replaces and fees.max_fee <= highest:
            # The nodes forgot it, but not for its fee: the same bytes are broadcast again and again.
            return False
        offer = _above(fees, highest, max(priority_fee for _, priority_fee in offered))
        async with context.database.read() as conn:
            allowed = await self._allowed(conn, transaction)
            ceiling = await context.policy.max_fee(conn) or config.max_fee
        if not allowed or self._signing.is_postponed:
            return False
        if offer.max_fee > ceiling:
            async with context.leader.write() as conn:
                await transactions_service.set_stall(conn, [transaction.id], Reason.FEE_CEILING)
                await operations.set_reason(conn, transaction.operation_ids, Reason.FEE_CEILING)
            ids = operations.ids_of(transaction)
            context.alarms.raise_alarm("fee_ceiling", transaction.id, **ids, asked=offer.max_fee, ceiling=ceiling)
            return False
        return await self._sign(transaction, transaction.nonce, offer)

    def _is_time(self, transaction: Transaction, view: WalletView) -> bool:
        """Return whether the transaction waited long enough for another signature.

        On a chain that replaces that is `stuck_blocks` without being mined; on any other, `gone_blocks` during which no node knew it.
        """
        config, key, block = self._context.config, transaction.id, view.block_number
        if config.replaces:
            return block - self._waiting_since.setdefault(key, block) >= config.stuck_blocks
        if not self._is_gone.get(key, False):
            if key in self._is_gone:
                self._waiting_since.pop(key, None)
            return False
        return block - self._waiting_since.setdefault(key, block) >= config.gone_blocks

    async def _allowed(self, conn: AsyncConnection, transaction: Transaction) -> bool:
        """Return whether no pause forbids this signature and, for a sweep, the Safe passes verification again."""
        context = self._context
        operation = await operations.get(conn, transaction.operation_id)
        if not isinstance(operation, Sweep):
            return is_for_restore(transaction) or await context.gate.payouts_allowed(conn)
        verdict = None if context.cold_wallet is None else await context.cold_wallet.verify()
        if not isinstance(verdict, Verified) or verdict.identity != operation.safe_identity:
            return False
        # Checked last: the verification takes time, and a pause may come meanwhile.
        return operation.kind is SweepKind.PANIC or await context.gate.sweeps_allowed(conn)

    async def _sign(self, transaction: Transaction, nonce: int, fees: FeeQuote) -> bool:
        context = self._context
        async with context.database.read() as conn:
            operation = await operations.get(conn, transaction.operation_id)
        pays = operation is not None or transaction.is_batch
        if pays and not _matches_signed_bytes(context, transaction, operation, nonce):
            # A row is no authority to pay: Stripe, or the approval, was asked about what the first bytes say.
            operations.report_forged_row(context, transaction)
            return False
        intent = repeated_intent(context.config, transaction, operation, nonce, fees)
        signed = await self._signing.sign(intent)
        if signed is None:
            return False
        async with context.leader.write() as conn:
            current = await queries.get(conn, transaction.id)
            if current is None or current.status not in IN_FLIGHT or len(current.attempts) != len(transaction.attempts):
                return False
            now = context.clock.now()
            await transactions_service.add_attempt(
                conn, transaction.id, signed, intent=intent, now=now, ids=context.ids
            )
        self._waiting_since.pop(transaction.id, None)
        ids = operations.ids_of(transaction)
        log.warning("treasury.fee_raised", **ids, max_fee=fees.max_fee, tx_hash=signed.hash)
        return True


def _matches_signed_bytes(
    context: SenderContext, transaction: Transaction, operation: Operation | None, nonce: int
) -> bool:
    """Return whether the rows still say what was signed: the bytes of an attempt are this operation's transfer for that attempt's fee."""
    for attempt in transaction.attempts:
        if attempt.raw is not None and attempt.max_fee is not None:
            fees = FeeQuote(attempt.max_fee, attempt.priority_fee or 0)
            intent = repeated_intent(context.config, transaction, operation, nonce, fees)
            if is_signed(intent, attempt.raw):
                return True
    return False


def _above(fees: FeeQuote, max_fee: int, priority_fee: int) -> FeeQuote:
    """Return the chain's fee, but at least an eighth above the fee offered before: less is no replacement (geth and its forks require 10 %)."""
    highest = max(fees.max_fee, max_fee + max_fee // 8 + 1)
    return FeeQuote(highest, min(highest, max(fees.priority_fee, priority_fee + priority_fee // 8 + 1)))
