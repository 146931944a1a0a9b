"""Nonces given out and never signed, by a process that died or a signer that failed.

The newest can be given back. One with later nonces above it would stop them all on a chain without gaps, so it is spent
by a transfer of nothing to ourselves, recorded as any other transaction. One that the chain has spent is lost.
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.core.assets import NATIVE
from treasury.core.facts import OperationFact
from treasury.ports import WalletView
from treasury.sender import operations
from treasury.sender.adoption import next_nonce
from treasury.sender.context import SenderContext, log
from treasury.sender.intents import nothing
from treasury.sender.operations import NO_OPERATION
from treasury.sender.signing import Signing
from treasury.transactions import service as transactions_service
from treasury.transactions.model import Transaction
from treasury.transactions.states import TransactionFact
from treasury.transitions import MoveRefused

_GAS = 21_000
"""What a payment without data to an account without code takes (Yellow Paper, appendix G)."""


class Returning:
    """Frees the operations behind such nonces, so that they queue again."""

    def __init__(self, desk: SenderContext, signing: Signing) -> None:
        """Nothing is remembered here."""
        self._desk = desk
        self._signing = signing

    async def give_back(self, taken: Sequence[Transaction], view: WalletView) -> bool:
        """Deal with every nonce that has no stored bytes, lowest first in `taken`; True where something moved."""
        desk = self._desk
        async with desk.database.read() as conn:
            newest = await next_nonce(desk, conn) - 1
        moved = False
        for transaction in reversed(taken):
            if transaction.nonce is None:
                continue
            try:
                if transaction.nonce == newest or transaction.nonce < view.nonce:
                    await self._free(transaction)
                    newest -= transaction.nonce == newest
                    moved = True
                else:
                    moved |= await self._spend(transaction, transaction.nonce)
            except MoveRefused as refused:
                # Its row is in a state that none of our steps gives it; the others go on.
                desk.alarms.ring("row_forged", transaction.id, **operations.ids_of(transaction), detail=str(refused))
        return moved

    async def _free(self, transaction: Transaction) -> None:
        desk = self._desk
        async with desk.leader.write() as conn:
            now = desk.clock.now()
            await transactions_service.release_nonce(conn, transaction, now=now)
            note = f"nonce {transaction.nonce} given back"
            await self._queue_again(conn, transaction, note)
        log.warning("treasury.nonce_given_back", **operations.ids_of(transaction), nonce=transaction.nonce)

    async def _queue_again(self, conn: AsyncConnection, transaction: Transaction, note: str) -> None:
        now = self._desk.clock.now()
        await operations.move(
            conn, transaction.operation_id, OperationFact.READY, now=now, note=note, transaction_id=None
        )

    async def _spend(self, transaction: Transaction, nonce: int) -> bool:
        """Sign a transfer of nothing for the nonce; the operation that had it queues for another."""
        desk = self._desk
        desk.alarms.ring("nonce_stranded", transaction.id, **operations.ids_of(transaction), nonce=nonce)
        fees = await desk.chain.fees()
        async with desk.database.read() as conn:
            if not await desk.gate.payouts_allowed(conn) and not await desk.gate.sweeps_allowed(conn):
                return False
            ceiling = await desk.rules.max_fee(conn) or desk.config.max_fee
        if fees.max_fee > ceiling or desk.pace.waits("signer"):
            return False
        wallet = desk.config.wallet
        if not transaction.operation_id.startswith(NO_OPERATION):
            async with desk.leader.write() as conn:
                await self._queue_again(conn, transaction, f"nonce {nonce} is spent by a transfer of nothing instead")
                await transactions_service.turn_into_self_transfer(
                    conn, transaction.id, operation_id=desk.ids.new(NO_OPERATION), wallet=wallet, token=NATIVE
                )
        intent = nothing(desk.config, nonce, _GAS, fees)
        signed = await self._signing.sign(intent)
        if signed is None:
            return False
        async with desk.leader.write() as conn:
            now = desk.clock.now()
            await transactions_service.add_attempt(conn, transaction.id, signed, intent=intent, now=now, ids=desk.ids)
            await transactions_service.move(conn, transaction.id, TransactionFact.STORED, now=now, note=signed.hash)
        ids = operations.ids_of(transaction)
        log.warning("treasury.nonce_spent", **ids, nonce=nonce, tx_hash=signed.hash)
        return True
