"""What the chain has decided is looked at again while it is young: the one way back is another block where it was."""

import asyncio
from collections.abc import Mapping
from typing import Any

from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.ports import WalletView
from treasury.sender import operations
from treasury.sender.context import SenderContext
from treasury.sender.operations import Operation
from treasury.transactions import queries
from treasury.transactions import service as transactions_service
from treasury.transactions.model import Transaction
from treasury.transactions.states import TransactionFact
from treasury.transitions import MoveRefused


class Rechecking:
    """Compares blocks, not transactions: a block with many payouts costs one question."""

    def __init__(self, desk: SenderContext) -> None:
        """Nothing was looked at yet; a restart looks once more."""
        self._desk = desk
        self._next_check: dict[tuple[int, str], int] = {}

    async def recheck(self, blocks: Mapping[tuple[int, str], int], view: WalletView) -> bool:
        """Compare the blocks of young ones with the chain's, at depths 1, 2, 4 and so on; True where one came back.

        `blocks`: what `decided_blocks` told, each with the highest nonce in it.
        Whatever its depth, a block is compared at once where the chain does not count the nonces that were in it. Mezo's
        blocks are final, so another hash at a block we believed is an alarm, not routine. The same bytes go out
        again; while they are in flight no new nonce is taken.
        """
        desk = self._desk
        self._next_check = {block: self._next_check.get(block, block[0] + 1) for block in blocks}
        moved = False
        due = [
            block for block, at in self._next_check.items() if view.block_number >= at or blocks[block] >= view.nonce
        ]
        told = await asyncio.gather(*(desk.chain.block_hash(number) for number, _ in due))
        for block, agreed in zip(due, told, strict=True):
            number, known = block
            if agreed is None:
                continue
            self._next_check[block] = number + 2 * (view.block_number - number)
            if agreed != known:
                async with desk.database.read() as conn:
                    gone = await queries.decided_in(conn, desk.hot_wallet, number, known)
                for transaction in gone:
                    try:
                        moved |= await self._reorged(transaction, agreed)
                    except MoveRefused as refused:
                        # Its row is in a state that none of our steps gives it; the others go on.
                        desk.alarms.ring(
                            "row_forged", transaction.id, **operations.ids_of(transaction), detail=str(refused)
                        )
        return moved

    async def _reorged(self, transaction: Transaction, agreed: str) -> bool:
        desk, now = self._desk, self._desk.clock.now()
        note = f"block {transaction.block_number} is now {agreed}"
        where: dict[str, Any] = {"block_number": None, "block_hash": None, "stall": Reason.REORG}
        shown: dict[str, Any] = {"block_number": None, "reason": Reason.REORG}
        desk.alarms.ring(
            "reorg", transaction.id, **operations.ids_of(transaction), was=transaction.block_hash, now=agreed
        )
        async with desk.leader.write() as conn:
            fact = OperationFact.REORGED
            if transaction.status is Status.REVERTED:
                operation = await operations.get(conn, transaction.operation_id)
                if operation is None or not _still_owed(operation, transaction):
                    # Made good, refused or tried anew since: bytes that may pay now are not sent out again.
                    return False
                fact = OperationFact.ADOPTED
                shown |= {"transaction_id": transaction.id, "tx_hash": transaction.attempts[-1].hash}
            await transactions_service.move(conn, transaction.id, TransactionFact.REORGED, now=now, note=note, **where)
            await operations.move(conn, transaction.operation_id, fact, now=now, note=note, **shown)
        return True


def _still_owed(operation: Operation, transaction: Transaction) -> bool:
    """Whether a failed transaction is the last word on its operation, or nothing was signed since for another attempt."""
    if operation.transaction_id == transaction.id:
        return operation.status is Status.REVERTED
    return operation.transaction_id is None and operation.status in {Status.APPROVED, Status.HELD}
