"""Compare the blocks of recently decided transactions with the chain again: another block in that place is the only way back."""

import asyncio
from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.payouts import service as payouts_service
from treasury.ports import WalletView
from treasury.sender import operations
from treasury.sender.context import SenderContext
from treasury.sender.operations import Operation
from treasury.transactions import queries
from treasury.transactions import service as transactions_service
from treasury.transactions.model import PaymentOutcome, Transaction
from treasury.transactions.states import TransactionFact
from treasury.transitions import MoveRefused


class ReorgCheck:
    """Compares blocks instead of transactions, so a block with many payouts costs one request."""

    def __init__(self, context: SenderContext) -> None:
        self._context = context
        self._next_check: dict[tuple[int, str], int] = {}
        """The head at which each block (number, hash) is compared next. Kept in memory; a restart compares once more."""

    async def check(self, blocks: Mapping[tuple[int, str], int], view: WalletView) -> bool:
        """Compare recent blocks with the chain's at depths 1, 2, 4 and so on; return whether a transaction went back to `broadcast`.

        `blocks` is the result of `queries.decided_blocks`: the highest nonce in each block. A block is compared at once, whatever its
        depth, if the chain does not count the nonces that were in it. Mezo's blocks are final, so another hash in place of a block that
        was final here is an alarm, not routine. The same bytes are broadcast again, and no new nonce is allocated while they are in
        flight.
        """
        context = self._context
        self._next_check = {block: self._next_check.get(block, block[0] + 1) for block in blocks}
        due = [
            block
            for block, check_at in self._next_check.items()
            if view.block_number >= check_at or blocks[block] >= view.nonce
        ]
        hashes = await asyncio.gather(*(context.chain.block_hash(number) for number, _ in due))
        moved = False
        for block, agreed_hash in zip(due, hashes, strict=True):
            number, stored_hash = block
            if agreed_hash is None:
                continue
            self._next_check[block] = number + 2 * (view.block_number - number)
            if agreed_hash != stored_hash:
                async with context.database.read() as conn:
                    transactions = await queries.decided_in(conn, context.hot_wallet, number, stored_hash)
                for transaction in transactions:
                    moved |= await self._take_back(transaction, agreed_hash)
        return moved

    async def _take_back(self, transaction: Transaction, agreed_hash: str) -> bool:
        try:
            return await self._move_back(transaction, agreed_hash)
        except MoveRefused as refused:
            operations.report_forged_row(self._context, transaction, refused)
            return False

    async def _move_back(self, transaction: Transaction, agreed_hash: str) -> bool:
        context, now = self._context, self._context.clock.now()
        note = f"block {transaction.block_number} is now {agreed_hash}"
        ids = operations.ids_of(transaction)
        values: dict[str, Any] = {"block_number": None, "block_hash": None, "stall": Reason.REORG}
        operation_values: dict[str, Any] = {"block_number": None, "reason": Reason.REORG}
        blocks = {"was": transaction.block_hash, "now": agreed_hash}
        async with context.leader.write() as conn:
            await context.alarms.raise_in(conn, "reorg", transaction.id, now, **ids, **blocks)
            if transaction.is_batch:
                if not await self._take_back_payments(conn, transaction, note, operation_values):
                    return False
            elif transaction.status is Status.REVERTED:
                operation = await operations.get(conn, transaction.operation_id)
                if operation is None or not _still_owed(operation, transaction):
                    # It was made good, rejected or signed again since then: bytes that might pay now are not broadcast again.
                    return False
                operation_values |= _carried_by(transaction)
                adopted = OperationFact.ADOPTED
                await operations.move(conn, operation.id, adopted, now=now, note=note, **operation_values)
            else:
                reorged = OperationFact.REORGED
                await operations.move(conn, transaction.operation_id, reorged, now=now, note=note, **operation_values)
            await transactions_service.move(conn, transaction.id, TransactionFact.REORGED, now=now, note=note, **values)
        return True

    async def _take_back_payments(
        self, conn: AsyncConnection, batch: Transaction, note: str, values: Mapping[str, Any]
    ) -> bool:
        """Take the payouts of a batch back to `broadcast`; return False, changing nothing, if its bytes must not be broadcast again.

        That is so if the whole transaction had failed and one of its payouts was made good in another way since. If it had not failed, its
        other payouts need it: the contract pays no reference twice, and what the token refused once it will most likely refuse again.
        """
        now = self._context.clock.now()
        payouts = await payouts_service.get_all(conn, batch.operation_ids)
        # One that this batch did not pay may be final because persons made it good: that stays.
        paid = {payment.payout_id for payment in batch.payments if payment.outcome is PaymentOutcome.PAID}
        if batch.status is Status.REVERTED and not all(_still_owed(payout, batch) for payout in payouts):
            return False
        for payout in payouts:
            if _still_owed(payout, batch):
                changed = {**values, **_carried_by(batch)}
                await operations.move(conn, payout.id, OperationFact.ADOPTED, now=now, note=note, **changed)
            elif payout.id in paid and payout.transaction_id == batch.id and payout.status is Status.FINAL:
                await operations.move(conn, payout.id, OperationFact.REORGED, now=now, note=note, **values)
        await transactions_service.set_outcomes(conn, batch.id, [(payment, None, None) for payment in batch.payments])
        return True


def _carried_by(transaction: Transaction) -> dict[str, Any]:
    return {"transaction_id": transaction.id, "tx_hash": transaction.attempts[-1].hash}


def _still_owed(operation: Operation, transaction: Transaction) -> bool:
    """Return whether a failed transaction is its operation's last one, or nothing was signed for another attempt since."""
    if operation.transaction_id == transaction.id:
        return operation.status is Status.REVERTED
    return operation.transaction_id is None and operation.status in {Status.APPROVED, Status.HELD}
