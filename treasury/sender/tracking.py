"""From stored bytes to proof: the same bytes again and again, and the chain's word alone.

Nothing is failed that the chain has not proved. `already known` and `nonce too low` are no news: receipts are.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from chain.reads.receipts import Mismatch, Proven, Reverted, Verdict, Waiting
from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.ports import WalletView
from treasury.sender import operations
from treasury.sender.adoption import Adoption
from treasury.sender.context import SenderContext, log
from treasury.sender.fee_bump import Replacement
from treasury.sender.operations import kind_of
from treasury.transactions import service as transactions_service
from treasury.transactions.model import Attempt, Transaction
from treasury.transactions.states import TransactionFact
from treasury.transitions import Change, MoveRefused

_Look = tuple[Attempt | None, Verdict | None]
"""The attempt that the chain has spoken about, and its word; without an attempt why it waits, None where it was not asked."""
_NOT_ASKED: _Look = (None, None)
_NOT_MINED = Waiting("not_mined")
_WAITS = {
    "waiting_for_second_node": Reason.WAITING_FOR_SECOND_NODE,
    "chain_paused": Reason.CHAIN_PAUSED,
}


@dataclass(slots=True)
class _Known:
    """What this process remembers of a transaction that waits; another process asks anew, and loses nothing by it."""

    uncounted_at: int = -1
    """The newest block at which the chain did not count its nonce."""
    asked: tuple[int, int] = (-1, 0)
    """The block at which its receipts were asked for last, and of how many attempts."""
    said: Waiting = _NOT_MINED
    searches: int | None = None
    """How often it was searched who took its nonce; None until the nonce has passed."""


class Tracking:
    """Follows what is signed until it is final."""

    def __init__(self, desk: SenderContext, adoption: Adoption, replacement: Replacement) -> None:
        """`adoption` answers who took a nonce that was ours; `replacement` offers more where the fee was too low."""
        self._desk = desk
        self._adoption = adoption
        self._replacement = replacement
        self._known: dict[str, _Known] = {}

    async def follow(self, flying: Sequence[Transaction], view: WalletView) -> bool:
        """Look at every transaction in flight, lowest nonce first; True where one moved."""
        self._desk.metrics.in_flight(len(flying))
        unmined = [one for one in flying if one.nonce is not None and one.nonce >= view.nonce]
        looks = await self._looks(flying, unmined, view)
        moved, waiting, proven = False, list[Transaction](), list[tuple[Transaction, Attempt, Proven]]()
        stalls: dict[Reason | None, list[Transaction]] = {}
        for transaction in flying:
            attempt, verdict = looks.get(transaction.id, _NOT_ASKED)
            if attempt is None:
                waiting.append(transaction)
                if verdict is not None:
                    reason = _WAITS.get(verdict.reason) if isinstance(verdict, Waiting) else None
                    stalls.setdefault(reason, []).append(transaction)
            elif isinstance(verdict, Mismatch):
                stalls.setdefault(Reason.MISMATCH, []).append(transaction)
                self._ring("transfer_mismatch", transaction, tx_hash=attempt.hash, detail=verdict.detail)
            elif isinstance(verdict, Reverted):
                moved |= await self._reverted(transaction, attempt, verdict)
            elif isinstance(verdict, Proven):
                proven.append((transaction, attempt, verdict))
        for reason, stalled in stalls.items():
            await self._wait(stalled, reason)
        if proven:
            moved |= await self._mined(proven)
        await self.rebroadcast(waiting)
        await self._replacement.look([one for one in unmined if one in waiting])
        for transaction in waiting:
            moved |= await self._unmined(transaction, view)
        self._known = {one.id: self._of(one) for one in waiting}
        return moved

    def _ring(self, kind: str, transaction: Transaction, **facts: object) -> None:
        self._desk.alarms.ring(kind, transaction.id, **operations.ids_of(transaction), **facts)

    def _of(self, transaction: Transaction) -> _Known:
        return self._known.setdefault(transaction.id, _Known())

    async def _looks(
        self, flying: Sequence[Transaction], unmined: Sequence[Transaction], view: WalletView
    ) -> dict[str, _Look]:
        """Ask about those that may be proved, and the first that is not mined; the rest of those wait for what that one waits for."""
        asked = [one for one in flying if self._may_be_proved(one, view)]
        asked += unmined[:1]
        # Side by side: a deep pipeline costs one round trip, not one for each nonce.
        said = await asyncio.gather(*(self._look(transaction, view) for transaction in asked))
        looks: dict[str, _Look] = {transaction.id: look for transaction, look in zip(asked, said, strict=True)}
        return looks | {behind.id: (None, looks[unmined[0].id][1]) for behind in unmined[1:]}

    def _may_be_proved(self, transaction: Transaction, view: WalletView) -> bool:
        """Whether its nonce has passed, and a block may stand behind the one in which it did."""
        if transaction.nonce is None:
            return True
        known = self._of(transaction)
        if transaction.nonce >= view.nonce:
            known.uncounted_at = view.block_number
            return False
        return view.block_number > known.uncounted_at + 1

    def expect(self, signed: Sequence[Transaction], view: WalletView) -> None:
        """None of these was mined at this view."""
        for transaction in signed:
            self._of(transaction).uncounted_at = view.block_number

    async def _look(self, transaction: Transaction, view: WalletView) -> _Look:
        """What the chain says of whichever attempt it has spoken about."""
        known, asked = self._of(transaction), (view.block_number, len(transaction.attempts))
        if known.asked == asked and self._desk.pace.waits(f"look:{transaction.id}"):
            # Nothing is proved without another block behind it.
            return None, known.said
        self._desk.pace.wait(f"look:{transaction.id}", self._desk.config.busy_seconds)
        waiting = _NOT_MINED
        for attempt in transaction.attempts:
            # Whichever was signed last, any of them may be the one that was mined.
            verdict = await self._desk.chain.prove(transaction.token, attempt.hash, transaction.to, transaction.amount)
            if not isinstance(verdict, Waiting):
                return attempt, verdict
            if waiting.reason not in _WAITS:
                waiting = verdict
        known.asked, known.said = asked, waiting
        return None, waiting

    async def _unmined(self, transaction: Transaction, view: WalletView) -> bool:
        """Offer more for what the chain does not take, and ask who took its nonce where that has passed."""
        if transaction.nonce is not None and view.nonce <= transaction.nonce:
            return await self._replacement.offer(transaction, view)
        if transaction.nonce is not None:
            key, known = f"taken:{transaction.id}", self._of(transaction)
            # Most likely it took its nonce itself, a moment ago, unless its receipt was asked for since.
            doubtful = known.asked[0] == view.block_number and known.said.reason == "not_mined"
            if known.searches is None:
                known.searches = 0
                self._desk.pace.wait(key, self._desk.config.scan_seconds)
            if self._desk.pace.due(key, self._desk.config.scan_seconds) or (doubtful and not known.searches):
                await self._adoption.explain_taken(transaction.nonce, view)
                known.searches += 1
                if known.searches >= self._desk.config.scans_before_unseen:
                    self._ring("nonce_taken", transaction, nonce=transaction.nonce)
        return False

    async def rebroadcast(self, signed: Sequence[Transaction]) -> None:
        """Hand the stored bytes to every node, lowest nonce first, but for what was handed out a moment ago."""
        pause, now = timedelta(seconds=self._desk.config.rebroadcast_seconds), self._desk.clock.now()
        due = [
            (transaction, attempt, attempt.raw)
            for transaction in signed
            for attempt in transaction.attempts
            # A clock that was set back is no reason to wait.
            if attempt.raw is not None
            and (attempt.broadcast_at is None or not timedelta() <= now - attempt.broadcast_at < pause)
        ]
        if due:
            await self._broadcast(due)

    async def _broadcast(self, due: Sequence[tuple[Transaction, Attempt, bytes]]) -> None:
        desk = self._desk
        raws = [raw for _, _, raw in due]
        if len({transaction.id for transaction, _, _ in due}) == len(due) > 1:
            reports = await desk.chain.broadcast_in_order(raws)
        else:
            reports = [await desk.chain.broadcast(raw, in_order=desk.config.max_in_flight > 1) for raw in raws]
        for report in reports:
            desk.metrics.broadcast("reached" if report.reached else "unreached")
            desk.checkpoint("broadcast")
        reached = {
            transaction.id: (transaction, attempt.hash)
            for (transaction, attempt, _), report in zip(due, reports, strict=True)
            if report.reached and transaction.status is Status.SIGNED
        }
        await self._sent([attempt.id for _, attempt, _ in due], list(reached.values()))
        for (transaction, _, _), report in zip(due, reports, strict=True):
            if not report.reached:
                refusals = list(report.refusals)
                log.warning("treasury.broadcast_unreached", **operations.ids_of(transaction), refusals=refusals)
        for transaction, tx_hash in reached.values():
            log.info("treasury.broadcast", **operations.ids_of(transaction), tx_hash=tx_hash)

    async def _sent(self, attempts: Sequence[str], reached: Sequence[tuple[Transaction, str]]) -> None:
        """Count these broadcasts, and write down what nodes took, all together; where one row refuses, each by itself."""
        now = self._desk.clock.now()
        try:
            async with self._desk.leader.write() as conn:
                await transactions_service.count_broadcasts(conn, attempts, now)
                if reached:
                    told = [Change(one.id, tx_hash, was=one.status) for one, tx_hash in reached]
                    await transactions_service.move_all(conn, told, TransactionFact.BROADCAST, now=now)
                    told = [Change(one.operation_id, tx_hash) for one, tx_hash in reached]
                    await operations.move_all(conn, told, OperationFact.BROADCAST, now=now)
        except MoveRefused as refused:
            if len(reached) == 1:
                self._row_refuses(reached[0][0], refused)
                reached = ()
            await self._sent(attempts, ())
            for one in reached:
                await self._sent((), [one])

    def _row_refuses(self, transaction: Transaction, refused: MoveRefused) -> None:
        """Leave one whose row is in a state that none of our steps gives it to people: the others go on."""
        self._ring("row_forged", transaction, detail=str(refused))

    async def _wait(self, stalled: Sequence[Transaction], reason: Reason | None) -> None:
        news = [transaction for transaction in stalled if transaction.stall != reason]
        if news:
            async with self._desk.leader.write() as conn:
                await transactions_service.set_stall(conn, [one.id for one in news], reason)
                await operations.set_reason(conn, [one.operation_id for one in news], reason)

    async def _mined(self, found: Sequence[tuple[Transaction, Attempt, Proven]]) -> bool:
        """Write down what was proved, all together; where one row refuses, each by itself. True where something moved."""
        try:
            await self._settle(found)
        except MoveRefused as refused:
            if len(found) > 1:
                return any([await self._mined([one]) for one in found])
            self._row_refuses(found[0][0], refused)
            return False
        return True

    async def _settle(self, found: Sequence[tuple[Transaction, Attempt, Proven]]) -> None:
        """First where they are, then that they are final, as a reader of the history expects."""
        desk = self._desk
        seen, shown, told = [], [], []
        for transaction, attempt, proven in found:
            block = proven.transfer.block
            if transaction.block_hash not in {None, block.hash}:
                self._ring("block_changed", transaction, was=transaction.block_hash, now=block.hash)
            note = f"block {block.number}, agreed by {', '.join(proven.agreed_by)}"
            where = {"block_number": block.number, "block_hash": block.hash, "stall": None}
            seen.append(Change(transaction.id, note, where, transaction.status))
            paid = {"block_number": block.number, "tx_hash": attempt.hash, "reason": None}
            shown.append(Change(transaction.operation_id, note, paid))
            told.append((transaction.id, transaction.operation_id, note))
        async with desk.leader.write() as conn:
            now = desk.clock.now()
            await transactions_service.move_all(conn, seen, TransactionFact.MINED, now=now)
            await operations.move_all(conn, shown, OperationFact.MINED, now=now)
            for _ in found:
                desk.checkpoint("mined")
            over = [Change(row, note, was=Status.MINED) for row, _, note in told]
            await transactions_service.move_all(conn, over, TransactionFact.PROVEN, now=now)
            over = [Change(operation, note, was=Status.MINED) for _, operation, note in told]
            await operations.move_all(conn, over, OperationFact.PROVEN, now=now)
        for transaction, attempt, proven in found:
            desk.checkpoint("final")
            number = proven.transfer.block.number
            log.info("treasury.final", **operations.ids_of(transaction), tx_hash=attempt.hash, block=number)
            self._count_gas(proven.cost)

    async def _reverted(self, transaction: Transaction, attempt: Attempt, reverted: Reverted) -> bool:
        desk, now = self._desk, self._desk.clock.now()
        note = f"reverted in block {reverted.block.number}"
        where: dict[str, Any] = {
            "block_number": reverted.block.number,
            "block_hash": reverted.block.hash,
            "stall": None,
        }
        try:
            async with desk.leader.write() as conn:
                await transactions_service.move(
                    conn, transaction.id, TransactionFact.REVERTED, now=now, note=note, **where
                )
                await operations.move(
                    conn, transaction.operation_id, OperationFact.REVERTED, now=now, note=note, reason=None
                )
        except MoveRefused as refused:
            self._row_refuses(transaction, refused)
            return False
        desk.alarms.ring(
            f"{kind_of(transaction.operation_id)}_reverted",
            transaction.operation_id,
            **operations.ids_of(transaction),
            tx_hash=attempt.hash,
        )
        self._count_gas(reverted.cost)
        return True

    def _count_gas(self, spent: int | None) -> None:
        if spent is not None:
            self._desk.metrics.gas(spent)
