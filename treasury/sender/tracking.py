"""Follow what is signed from stored bytes to proof: broadcast the same bytes again and again, and decide by the chain alone.

Nothing is failed that the chain has not proved. The replies `already known` and `nonce too low` decide nothing; receipts do.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chain.reads.batch_proof import BatchProofResult, ProvenBatch
from chain.reads.transfer_proof import Mismatch, ProofResult, Proven, Reverted, Waiting
from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.ports import WalletView
from treasury.sender import operations
from treasury.sender.adoption import Adoption
from treasury.sender.batch_outcomes import FailedPayment, prove_attempt, settle_batch
from treasury.sender.broadcasting import Broadcasting
from treasury.sender.context import SenderContext, log
from treasury.sender.fee_bump import FeeBump
from treasury.transactions import service as transactions_service
from treasury.transactions.model import Attempt, Transaction
from treasury.transactions.states import TransactionFact
from treasury.transitions import Change, MoveRefused

_Verdict = ProofResult | BatchProofResult
_Result = tuple[Attempt | None, _Verdict | None]
"""The attempt that the chain has decided, and the verdict.

Without such an attempt, the verdict says why the transaction waits; None if the chain was not asked.
"""
_NOT_ASKED: _Result = (None, None)
_Final = tuple[Transaction, Attempt, Proven | ProvenBatch]
_NOT_MINED = Waiting("not_mined")
_STALLS = {
    "waiting_for_second_node": Reason.WAITING_FOR_SECOND_NODE,
    "chain_paused": Reason.CHAIN_PAUSED,
}


@dataclass(slots=True)
class _Memory:
    """The facts that this process remembers about a waiting transaction. Nothing depends on them: another process asks the chain again."""

    uncounted_at: int = -1
    """The newest block at which the chain did not count the transaction's nonce."""
    asked: tuple[int, int] = (-1, 0)
    """The block at which the transaction's receipts were last asked for, and how many attempts it had then."""
    verdict: Waiting = _NOT_MINED
    searches: int | None = None
    """How often the transaction that used the nonce was searched for; None until the chain counts the nonce."""


class Tracking:
    """Follows signed transactions until they are final."""

    def __init__(
        self, context: SenderContext, broadcasting: Broadcasting, adoption: Adoption, fee_bump: FeeBump
    ) -> None:
        self._context = context
        self._broadcasting = broadcasting
        self._adoption = adoption
        self._fee_bump = fee_bump
        self._memory: dict[str, _Memory] = {}
        self._in_flight: Sequence[Transaction] = ()
        """The transactions that `follow` was last called with."""

    async def follow(self, in_flight: Sequence[Transaction], view: WalletView) -> bool:
        """Check every transaction in flight, lowest nonce first; return whether one changed its status."""
        self._context.metrics.in_flight(len(in_flight))
        self._in_flight = in_flight
        unmined = [
            transaction
            for transaction in in_flight
            if transaction.nonce is not None and transaction.nonce >= view.nonce
        ]
        results = await self._ask_chain(in_flight, unmined, view)
        moved, waiting, proven = False, list[Transaction](), list[_Final]()
        stalls: dict[Reason | None, list[Transaction]] = {}
        for transaction in in_flight:
            attempt, verdict = results.get(transaction.id, _NOT_ASKED)
            if attempt is None:
                waiting.append(transaction)
                if verdict is not None:
                    reason = _STALLS.get(verdict.reason) if isinstance(verdict, Waiting) else None
                    stalls.setdefault(reason, []).append(transaction)
            elif isinstance(verdict, Mismatch):
                stalls.setdefault(Reason.MISMATCH, []).append(transaction)
                self._raise_alarm("transfer_mismatch", transaction, tx_hash=attempt.hash, detail=verdict.detail)
            elif isinstance(verdict, Reverted):
                moved |= await self._record_reverted(transaction, attempt, verdict)
            elif isinstance(verdict, Proven | ProvenBatch):
                proven.append((transaction, attempt, verdict))
        for reason, stalled in stalls.items():
            await self._set_stall(stalled, reason)
        if proven:
            moved |= await self._record_final(proven)
        await self._broadcasting.broadcast(waiting)
        await self._fee_bump.check_gone([transaction for transaction in unmined if transaction in waiting])
        for transaction in waiting:
            moved |= await self._handle_waiting(transaction, view)
        self._memory = {transaction.id: self._memory_of(transaction) for transaction in waiting}
        return moved

    async def takers_are_known(self, view: WalletView) -> bool:
        """Return whether each nonce in flight that the chain counts was used by our own transaction, as enough providers show.

        Until that is known nothing more may be signed: bytes from before a restore may have used the nonce, and the payment that they
        make may be the one that would be signed next. `follow` then searches for what used it.
        """
        counted = [row for row in self._in_flight if row.nonce is not None and row.nonce < view.nonce]
        results = await asyncio.gather(*(self._prove(transaction, view) for transaction in counted))
        return all(
            attempt is not None or (isinstance(verdict, Waiting) and verdict.block is not None)
            for attempt, verdict in results
        )

    def unpaid_gas(self, view: WalletView, ahead: int) -> int:
        """Return the gas limits of the `ahead` transactions that have a nonce and are not mined at this view."""
        config = self._context.config
        limits = [
            row.gas_limit or config.gas_limit
            for row in self._in_flight
            if row.nonce is not None and row.nonce >= view.nonce
        ]
        return sum(limits) + max(0, ahead - len(limits)) * config.gas_of(1)

    def _raise_alarm(self, kind: str, transaction: Transaction, **facts: object) -> None:
        self._context.alarms.raise_alarm(kind, transaction.id, **operations.ids_of(transaction), **facts)

    def _memory_of(self, transaction: Transaction) -> _Memory:
        return self._memory.setdefault(transaction.id, _Memory())

    async def _ask_chain(
        self, in_flight: Sequence[Transaction], unmined: Sequence[Transaction], view: WalletView
    ) -> dict[str, _Result]:
        """Ask the chain about the transactions that may be proved, and the first that is not mined. Later ones wait for that one and get its result."""
        asked = [transaction for transaction in in_flight if self._may_be_proved(transaction, view)]
        asked += unmined[:1]
        # Concurrently: a deep pipeline costs one round trip, not one for each nonce.
        verdicts = await asyncio.gather(*(self._prove(transaction, view) for transaction in asked))
        results: dict[str, _Result] = dict(zip((transaction.id for transaction in asked), verdicts, strict=True))
        return results | {behind.id: (None, results[unmined[0].id][1]) for behind in unmined[1:]}

    def _may_be_proved(self, transaction: Transaction, view: WalletView) -> bool:
        """Return whether a proof is worth requesting: the chain counts the transaction's nonce, and a block may already follow the transaction's own."""
        if transaction.nonce is None:
            return True
        memory = self._memory_of(transaction)
        if transaction.nonce >= view.nonce:
            memory.uncounted_at = view.block_number
            return False
        return view.block_number > memory.uncounted_at + 1

    def expect(self, signed: Sequence[Transaction], view: WalletView) -> None:
        """Remember that the chain did not count the nonces of the `signed` transactions at the block of `view`; no proof is tried before two blocks later."""
        for transaction in signed:
            self._memory_of(transaction).uncounted_at = view.block_number

    async def _prove(self, transaction: Transaction, view: WalletView) -> _Result:
        """Return the first attempt that the chain has decided, with the verdict; without one, None and why the transaction waits."""
        context, memory = self._context, self._memory_of(transaction)
        asked = (view.block_number, len(transaction.attempts))
        if memory.asked == asked and context.throttle.is_waiting(f"prove:{transaction.id}"):
            # Nothing more is proved until another block follows.
            return None, memory.verdict
        context.throttle.postpone(f"prove:{transaction.id}", context.config.busy_seconds)
        waiting = _NOT_MINED
        for attempt in transaction.attempts:
            # Any of them may be the one that was mined, not only the last one signed.
            verdict = await prove_attempt(context, transaction, attempt)
            if not isinstance(verdict, Waiting):
                return attempt, verdict
            if waiting.reason not in _STALLS:
                waiting = verdict
        memory.asked, memory.verdict = asked, waiting
        return None, waiting

    async def _handle_waiting(self, transaction: Transaction, view: WalletView) -> bool:
        """Offer a higher fee if the chain does not count the transaction's nonce; if it does, search for the transaction that used it."""
        if transaction.nonce is None:
            return False
        if view.nonce <= transaction.nonce:
            return await self._fee_bump.offer(transaction, view)
        key, seconds = f"taken:{transaction.id}", self._context.config.scan_seconds
        memory = self._memory_of(transaction)
        # Most likely it used its nonce itself a moment ago, unless its receipt was asked for since and there was none.
        doubtful = memory.asked[0] == view.block_number and memory.verdict.reason == "not_mined"
        if memory.searches is None:
            memory.searches = 0
            self._context.throttle.postpone(key, seconds)
        if self._context.throttle.due(key, seconds) or (doubtful and not memory.searches):
            await self._adoption.explain_nonce(transaction.nonce, view)
            memory.searches += 1
            if memory.searches >= self._context.config.scans_before_unseen:
                self._raise_alarm("nonce_taken", transaction, nonce=transaction.nonce)
        return False

    async def _set_stall(self, stalled: Sequence[Transaction], reason: Reason | None) -> None:
        changed = [transaction for transaction in stalled if transaction.stall != reason]
        if changed:
            async with self._context.leader.write() as conn:
                await transactions_service.set_stall(conn, [transaction.id for transaction in changed], reason)
                carried = [operation_id for transaction in changed for operation_id in transaction.operation_ids]
                await operations.set_reason(conn, carried, reason)

    async def _record_final(self, proven: Sequence[_Final]) -> bool:
        """Record everything that was proved in one transaction; if one row refuses, each by itself. Return whether a status changed."""
        try:
            await self._finalize(proven)
        except MoveRefused as refused:
            if len(proven) > 1:
                return any([await self._record_final([entry]) for entry in proven])
            operations.report_forged_row(self._context, proven[0][0], refused)
            return False
        return True

    async def _finalize(self, proven: Sequence[_Final]) -> None:
        """Record first that the transactions are mined, then that they are final, as a reader of the history expects."""
        context = self._context
        mined, operations_mined = list[Change](), list[Change]()
        now, failed, forged = context.clock.now(), list[FailedPayment](), list[tuple[Transaction, str]]()
        async with context.leader.write() as conn:
            for transaction, attempt, verdict in proven:
                block = verdict.block
                note = f"block {block.number}, agreed by {', '.join(verdict.agreed_by)}"
                values = {"block_number": block.number, "block_hash": block.hash, "stall": None}
                mined.append(Change(transaction.id, note, values, transaction.status))
                values = {"block_number": block.number, "tx_hash": attempt.hash, "reason": None}
                if isinstance(verdict, ProvenBatch):
                    settled = await settle_batch(conn, transaction, verdict, note, values, now=now)
                    operations_mined += settled.paid
                    failed += settled.failed
                    forged += [(transaction, payout_id) for payout_id in settled.forged]
                else:
                    operations_mined.append(Change(transaction.operation_id, note, values))
            await transactions_service.move_all(conn, mined, TransactionFact.MINED, now=now)
            await operations.move_all(conn, operations_mined, OperationFact.MINED, now=now)
            for _ in proven:
                context.checkpoint("mined")
            final = [Change(change.row_id, change.note, was=Status.MINED) for change in mined]
            await transactions_service.move_all(conn, final, TransactionFact.PROVEN, now=now)
            final = [Change(change.row_id, change.note, was=Status.MINED) for change in operations_mined]
            await operations.move_all(conn, final, OperationFact.PROVEN, now=now)
            await self._alarm_of_final(conn, proven, failed, now)
        for transaction, attempt, verdict in proven:
            context.checkpoint("final")
            unpaid = {payment.payout_id for payment in failed}
            for operation_id, ids in operations.subjects_of(transaction):
                if operation_id in unpaid:
                    continue
                log.info("treasury.final", **ids, tx_hash=attempt.hash, block=verdict.block.number)
            self._count_gas(verdict.cost)
        for transaction, payout_id in forged:
            reason = "differs from the payment that was signed, or has a status that no payout of the batch can have"
            operations.report_forged_row(context, transaction, f"{payout_id} {reason}")

    async def _alarm_of_final(
        self, conn: AsyncConnection, proven: Sequence[_Final], failed: Sequence[FailedPayment], now: datetime
    ) -> None:
        """Raise the alarms about transactions that were mined in another block than before, and about payments of a batch that failed."""
        alarms = self._context.alarms
        for transaction, _, verdict in proven:
            if transaction.block_hash not in {None, verdict.block.hash}:
                facts = operations.ids_of(transaction) | {"was": transaction.block_hash, "now": verdict.block.hash}
                await alarms.raise_in(conn, "block_changed", transaction.id, now, **facts)
        for payment in failed:
            await alarms.raise_in(conn, "payout_reverted", payment.payout_id, now, **payment.ids, note=payment.note)

    async def _record_reverted(self, transaction: Transaction, attempt: Attempt, verdict: Reverted) -> bool:
        context, now = self._context, self._context.clock.now()
        block = verdict.block
        note, reverted = f"reverted in block {block.number}", OperationFact.REVERTED
        values: dict[str, Any] = {"block_number": block.number, "block_hash": block.hash, "stall": None}
        try:
            async with context.leader.write() as conn:
                await transactions_service.move(
                    conn, transaction.id, TransactionFact.REVERTED, now=now, note=note, **values
                )
                await operations.move_carried(context, conn, transaction, reverted, now=now, note=note, reason=None)
                for operation_id, ids in operations.subjects_of(transaction):
                    alarm = f"{operations.kind_of(operation_id)}_reverted"
                    await context.alarms.raise_in(conn, alarm, operation_id, now, **ids, tx_hash=attempt.hash)
        except MoveRefused as refused:
            operations.report_forged_row(context, transaction, refused)
            return False
        self._count_gas(verdict.cost)
        return True

    def _count_gas(self, wei: int | None) -> None:
        if wei is not None:
            self._context.metrics.gas(wei)
