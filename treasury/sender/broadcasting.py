"""Broadcast stored bytes, again and again until they are mined. Nothing is broadcast that is not stored."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import chain
from typing import NamedTuple

from treasury.core.facts import OperationFact
from treasury.core.status import Status
from treasury.sender import operations
from treasury.sender.context import SenderContext, log
from treasury.transactions import service as transactions_service
from treasury.transactions.model import Transaction
from treasury.transactions.states import TransactionFact
from treasury.transitions import Change, MoveRefused


class _Due(NamedTuple):
    """One attempt whose bytes are due to be broadcast."""

    transaction: Transaction
    attempt_id: str
    tx_hash: str
    raw: bytes


_Reached = tuple[Transaction, str]
"""A transaction that a node has for the first time, and the hash of the attempt."""


class Broadcasting:
    """Sends the bytes of signed transactions to every node."""

    def __init__(self, context: SenderContext) -> None:
        self._context = context

    async def broadcast(self, signed: Sequence[Transaction]) -> None:
        """Broadcast all attempts of these transactions, lowest nonce first, except those broadcast a moment ago."""
        pause, now = timedelta(seconds=self._context.config.rebroadcast_seconds), self._context.clock.now()
        due = [
            _Due(transaction, attempt.id, attempt.hash, attempt.raw)
            for transaction in signed
            for attempt in transaction.attempts
            # If the clock was set back, the last broadcast lies in the future; that is no reason to wait.
            if attempt.raw is not None
            and (attempt.broadcast_at is None or not timedelta() <= now - attempt.broadcast_at < pause)
        ]
        if due:
            await self._send(due)

    async def _send(self, due: Sequence[_Due]) -> None:
        context = self._context
        raws = [entry.raw for entry in due]
        if len({entry.transaction.id for entry in due}) == len(due) > 1:
            reports = await context.chain.broadcast_in_order(raws)
        else:
            in_order = context.config.max_in_flight > 1
            reports = [await context.chain.broadcast(raw, in_order=in_order) for raw in raws]
        for report in reports:
            context.metrics.broadcast("reached" if report.reached else "unreached")
            context.checkpoint("broadcast")
        reached = {
            entry.transaction.id: (entry.transaction, entry.tx_hash)
            for entry, report in zip(due, reports, strict=True)
            if report.reached and entry.transaction.status is Status.SIGNED
        }
        await self._record([entry.attempt_id for entry in due], list(reached.values()))
        for entry, report in zip(due, reports, strict=True):
            if not report.reached:
                refusals = list(report.refusals)
                log.warning("treasury.broadcast_unreached", **operations.ids_of(entry.transaction), refusals=refusals)
        for transaction, tx_hash in reached.values():
            for _, ids in operations.subjects_of(transaction):
                log.info("treasury.broadcast", **ids, tx_hash=tx_hash)

    async def _record(self, attempts: Sequence[str], reached: Sequence[_Reached]) -> None:
        """Count these broadcasts, and record what nodes have, in one transaction; if one row refuses, record each by itself."""
        now = self._context.clock.now()
        try:
            async with self._context.leader.write() as conn:
                await transactions_service.count_broadcasts(conn, attempts, now)
                if reached:
                    changes = [Change(row.id, tx_hash, was=row.status) for row, tx_hash in reached]
                    await transactions_service.move_all(conn, changes, TransactionFact.BROADCAST, now=now)
                    carried = [await operations.changes_for(conn, [row], tx_hash) for row, tx_hash in reached]
                    await operations.move_all(conn, [*chain(*carried)], OperationFact.BROADCAST, now=now)
        except MoveRefused as refused:
            if len(reached) == 1:
                operations.report_forged_row(self._context, reached[0][0], refused)
                reached = ()
            await self._record(attempts, ())
            for entry in reached:
                await self._record((), [entry])
