"""From stored bytes to proof: the same bytes again and again, and the chain's word alone.

Nothing is failed that the chain has not proved. `already known` and `nonce too low` are no news: receipts are.
"""

from datetime import timedelta
from typing import Any

from chain.confirm import Mismatch, Proven, Reverted, Verdict, Waiting
from treasury.payouts.machine import Fact as OperationFact
from treasury.payouts.machine import Reason
from treasury.ports import WalletView
from treasury.sender import operations
from treasury.sender.adoption import Adoption
from treasury.sender.desk import Desk, log
from treasury.sender.operations import kind_of
from treasury.sender.replacement import Replacement
from treasury.status import Status
from treasury.sweeps.table import NATIVE
from treasury.transactions import service as transactions
from treasury.transactions.machine import Fact
from treasury.transactions.table import Attempt, Transaction

_WAITS = {
    "waiting_for_second_node": Reason.WAITING_FOR_SECOND_NODE,
    "chain_paused": Reason.CHAIN_PAUSED,
}


class Tracking:
    """Follows what is signed until it is final, and what is final while it is young."""

    def __init__(self, desk: Desk, adoption: Adoption, replacement: Replacement) -> None:
        """`adoption` answers who took a nonce that was ours; `replacement` offers more where the fee was too low."""
        self._desk = desk
        self._adoption = adoption
        self._replacement = replacement
        self._next_check: dict[str, int] = {}
        self._taken: dict[str, int] = {}

    async def follow(self, view: WalletView) -> bool:
        """Look at every transaction in flight, lowest nonce first; True where one moved."""
        async with self._desk.database.read() as conn:
            flying = await transactions.in_flight(conn, *self._desk.key)
        self._desk.metrics.in_flight(len(flying))
        moved = False
        for transaction in flying:
            moved |= await self._settle(transaction, view)
        self._taken = {row.id: self._taken[row.id] for row in flying if row.id in self._taken}
        return moved

    async def _settle(self, transaction: Transaction, view: WalletView) -> bool:
        waiting: Reason | None = None
        for attempt in transaction.attempts:
            verdict = await self._prove(transaction, attempt)
            if isinstance(verdict, Proven):
                await self._mined(transaction, attempt, verdict)
                return True
            if isinstance(verdict, Reverted):
                await self._reverted(transaction, attempt, verdict)
                return True
            if isinstance(verdict, Mismatch):
                await self._wait(transaction, Reason.MISMATCH)
                self._desk.alarms.ring("transfer_mismatch", transaction.id, tx_hash=attempt.hash, detail=verdict.detail)
                return False
            if isinstance(verdict, Waiting):
                waiting = waiting or _WAITS.get(verdict.reason)
        await self._wait(transaction, waiting)
        await self.rebroadcast(transaction)
        if transaction.nonce is not None and view.nonce <= transaction.nonce:
            return await self._replacement.offer(transaction, view)
        if transaction.nonce is not None:
            key = f"taken:{transaction.id}"
            if self._desk.pace.due(key, self._desk.config.scan_seconds):
                await self._adoption.explain_taken(transaction.nonce, view)
                self._taken[transaction.id] = self._taken.get(transaction.id, 0) + 1
                if self._taken[transaction.id] >= self._desk.config.scans_before_unseen:
                    self._desk.alarms.ring("nonce_taken", transaction.id, nonce=transaction.nonce)
        return False

    async def _prove(self, transaction: Transaction, attempt: Attempt) -> Verdict:
        """All attempts are asked about, whichever was signed last: any of them may be the one that was mined."""
        chain = self._desk.chain
        prove = chain.prove_native if transaction.token == NATIVE else chain.prove
        if transaction.token in {NATIVE, self._desk.config.token}:
            return await prove(attempt.hash, transaction.to, transaction.amount)
        return await chain.prove_token(transaction.token, attempt.hash, transaction.to, transaction.amount)

    async def rebroadcast(self, transaction: Transaction) -> bool:
        """Hand the stored bytes to every node, unless that was done a moment ago; True where a node has them now."""
        reached = False
        pause = timedelta(seconds=self._desk.config.rebroadcast_seconds)
        for attempt in transaction.attempts:
            if attempt.raw is None:
                continue
            if attempt.broadcast_at is not None and self._desk.clock.now() - attempt.broadcast_at < pause:
                continue
            reached |= await self._broadcast(transaction, attempt, attempt.raw)
        return reached

    async def _broadcast(self, transaction: Transaction, attempt: Attempt, raw: bytes) -> bool:
        desk = self._desk
        report = await desk.chain.broadcast(raw, in_order=desk.config.max_in_flight > 1)
        desk.metrics.broadcast("reached" if report.reached else "unreached")
        desk.checkpoint("broadcast")
        now = desk.clock.now()
        async with desk.leader.write() as conn:
            await transactions.count_broadcast(conn, attempt.id, now)
            if report.reached and transaction.status is Status.SIGNED:
                await transactions.move(conn, transaction.id, Fact.BROADCAST, now=now, note=attempt.hash)
                await operations.move(
                    conn, transaction.operation_id, OperationFact.BROADCAST, now=now, note=attempt.hash
                )
        if not report.reached:
            log.warning("treasury.broadcast_unreached", transaction=transaction.id, refusals=list(report.refusals))
        return report.reached > 0

    async def _wait(self, transaction: Transaction, reason: Reason | None) -> None:
        if transaction.stall == reason:
            return
        async with self._desk.leader.write() as conn:
            await transactions.set_stall(conn, transaction.id, reason)
            await operations.set_reason(conn, transaction.operation_id, reason)

    async def _mined(self, transaction: Transaction, attempt: Attempt, proven: Proven) -> None:
        """First where it is, then that it is final: two writes, as a reader of the history expects."""
        desk, block = self._desk, proven.transfer.block
        if transaction.block_hash not in {None, block.hash}:
            desk.alarms.ring("block_changed", transaction.id, was=transaction.block_hash, now=block.hash)
        note = f"block {block.number}, agreed by {', '.join(proven.agreed_by)}"
        async with desk.leader.write() as conn:
            now = desk.clock.now()
            where: dict[str, Any] = {"block_number": block.number, "block_hash": block.hash, "stall": None}
            await transactions.move(conn, transaction.id, Fact.SEEN, now=now, note=note, **where)
            shown: dict[str, Any] = {"block_number": block.number, "tx_hash": attempt.hash, "reason": None}
            await operations.move(conn, transaction.operation_id, OperationFact.SEEN, now=now, note=note, **shown)
        desk.checkpoint("mined")
        async with desk.leader.write() as conn:
            now = desk.clock.now()
            await transactions.move(conn, transaction.id, Fact.PROVEN, now=now, note=note)
            await operations.move(conn, transaction.operation_id, OperationFact.PROVEN, now=now, note=note)
        desk.checkpoint("final")
        self._next_check[transaction.id] = block.number + 1
        log.info("treasury.final", operation=transaction.operation_id, tx_hash=attempt.hash, block=block.number)
        await self._count_gas(attempt.hash)

    async def _reverted(self, transaction: Transaction, attempt: Attempt, reverted: Reverted) -> None:
        desk, now = self._desk, self._desk.clock.now()
        note = f"reverted in block {reverted.block.number}"
        where: dict[str, Any] = {
            "block_number": reverted.block.number,
            "block_hash": reverted.block.hash,
            "stall": None,
        }
        async with desk.leader.write() as conn:
            await transactions.move(conn, transaction.id, Fact.REVERTED, now=now, note=note, **where)
            await operations.move(
                conn, transaction.operation_id, OperationFact.REVERTED, now=now, note=note, reason=None
            )
        desk.alarms.ring(
            f"{kind_of(transaction.operation_id)}_reverted", transaction.operation_id, tx_hash=attempt.hash
        )
        await self._count_gas(attempt.hash)

    async def _count_gas(self, tx_hash: str) -> None:
        spent = await self._desk.chain.gas_spent(tx_hash)
        if spent is not None:
            self._desk.metrics.gas(spent)

    async def recheck(self, view: WalletView) -> bool:
        """Compare young final ones with the chain again, at depths 1, 2, 4 and so on; True where one came back.

        Mezo's blocks are final, so another hash at a block we believed is an alarm, not routine. The same bytes go out
        again; while they are in flight no new nonce is taken.
        """
        desk = self._desk
        async with desk.database.read() as conn:
            young = await transactions.final_since(conn, *desk.key, view.block_number - desk.config.recheck_blocks)
        self._next_check = {row.id: self._next_check.get(row.id, 0) for row in young}
        moved = False
        for transaction in young:
            number = transaction.block_number
            if number is None or view.block_number < max(self._next_check[transaction.id], number + 1):
                continue
            agreed = await desk.chain.block_hash(number)
            if agreed is None:
                continue
            self._next_check[transaction.id] = number + 2 * (view.block_number - number)
            if agreed != transaction.block_hash:
                await self._reorged(transaction, agreed)
                moved = True
        return moved

    async def _reorged(self, transaction: Transaction, agreed: str) -> None:
        desk, now = self._desk, self._desk.clock.now()
        note = f"block {transaction.block_number} is now {agreed}"
        where: dict[str, Any] = {"block_number": None, "block_hash": None, "stall": Reason.REORG}
        shown: dict[str, Any] = {"block_number": None, "reason": Reason.REORG}
        async with desk.leader.write() as conn:
            await transactions.move(conn, transaction.id, Fact.REORGED, now=now, note=note, **where)
            await operations.move(conn, transaction.operation_id, OperationFact.REORGED, now=now, note=note, **shown)
        desk.alarms.ring("reorg", transaction.id, was=transaction.block_hash, now=agreed)
