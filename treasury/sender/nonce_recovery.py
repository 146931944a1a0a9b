"""Recover nonces that were allocated and never signed, by a process that died or a signer that failed.

The newest nonce can be released. A nonce with later ones above it would stop them all on a chain without nonce gaps, so it is spent by
a transfer of nothing to the wallet itself, recorded like any other transaction. A nonce that the chain has already counted is lost.
A deployment or an approval of PayOnce is never among them: its nonce and its bytes are stored together.
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.core.assets import NATIVE
from treasury.core.facts import OperationFact
from treasury.ports import WalletView
from treasury.sender import operations
from treasury.sender.context import SenderContext, log
from treasury.sender.intents import empty_purpose, is_for_restore, self_transfer_intent
from treasury.sender.nonces import next_nonce
from treasury.sender.operations import NO_OPERATION
from treasury.sender.signer_calls import SignerCalls
from treasury.transactions import service as transactions_service
from treasury.transactions.model import Transaction
from treasury.transactions.states import TransactionFact
from treasury.transitions import MoveRefused


class NonceRecovery:
    """Releases or spends nonces without signed bytes, so that the operations that held them queue again."""

    def __init__(self, context: SenderContext, signing: SignerCalls) -> None:
        self._context = context
        self._signing = signing

    async def recover(self, unsigned: Sequence[Transaction], view: WalletView) -> bool:
        """Release or spend the nonce of each transaction without stored bytes; return whether anything moved.

        `unsigned` is in the order of nonces, lowest first.
        """
        context = self._context
        async with context.database.read() as conn:
            newest = await next_nonce(conn, context.hot_wallet) - 1
        moved = False
        for transaction in reversed(unsigned):
            if transaction.nonce is None:
                continue
            try:
                if transaction.nonce == newest or transaction.nonce < view.nonce:
                    await self._release(transaction)
                    newest -= transaction.nonce == newest
                    moved = True
                else:
                    moved |= await self._spend(transaction, transaction.nonce)
            except MoveRefused as refused:
                operations.report_forged_row(context, transaction, refused)
        return moved

    async def _release(self, transaction: Transaction) -> None:
        context = self._context
        async with context.leader.write() as conn:
            await transactions_service.release_nonce(conn, transaction, now=context.clock.now())
            await self._queue_again(conn, transaction, f"nonce {transaction.nonce} given back")
        log.warning("treasury.nonce_given_back", **operations.ids_of(transaction), nonce=transaction.nonce)

    async def _queue_again(self, conn: AsyncConnection, transaction: Transaction, note: str) -> None:
        now = self._context.clock.now()
        await operations.move_carried(
            self._context, conn, transaction, OperationFact.READY, now=now, note=note, transaction_id=None
        )

    async def _spend(self, transaction: Transaction, nonce: int) -> bool:
        """Sign a transfer of nothing for the nonce; the operation that held it queues for another one."""
        context, ids = self._context, operations.ids_of(transaction)
        context.alarms.raise_alarm("nonce_stranded", transaction.id, **ids, nonce=nonce)
        fees = await context.chain.fees()
        async with context.database.read() as conn:
            if not is_for_restore(transaction) and not await self._allowed(conn):
                return False
            ceiling = await context.policy.max_fee(conn) or context.config.max_fee
        if fees.max_fee > ceiling or self._signing.is_postponed:
            return False
        if not transaction.operation_id.startswith(NO_OPERATION):
            await self._detach_operation(transaction, nonce)
        intent = self_transfer_intent(context.config, nonce, fees, empty_purpose(transaction))
        signed = await self._signing.sign(intent)
        if signed is None:
            return False
        async with context.leader.write() as conn:
            now, row_id = context.clock.now(), transaction.id
            await transactions_service.add_attempt(conn, row_id, signed, intent=intent, now=now, ids=context.ids)
            await transactions_service.move(conn, row_id, TransactionFact.STORED, now=now, note=signed.hash)
        log.warning("treasury.nonce_spent", **ids, nonce=nonce, tx_hash=signed.hash)
        return True

    async def _allowed(self, conn: AsyncConnection) -> bool:
        gate = self._context.gate
        return await gate.payouts_allowed(conn) or await gate.sweeps_allowed(conn)

    async def _detach_operation(self, transaction: Transaction, nonce: int) -> None:
        context = self._context
        async with context.leader.write() as conn:
            await self._queue_again(conn, transaction, f"nonce {nonce} is spent by a transfer of nothing instead")
            await transactions_service.turn_into_self_transfer(
                conn,
                transaction.id,
                operation_id=context.ids.new(NO_OPERATION),
                wallet=context.config.wallet,
                token=NATIVE,
            )
