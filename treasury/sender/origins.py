"""Tell the wallet's own payouts that a restored database has lost from transactions that someone else made with its key.

A payout is `transfer(to, amount)` of the wallet's token followed by a reference, the hash of the purchase that it pays. Anyone who holds
the key can append 32 bytes, too, so the shape alone proves nothing: Stripe is asked for a completed purchase that hashes to the
reference. Until it has answered, for a minute at most, nothing is signed and no alarm is raised. After that every transaction that is
not adopted raises an alarm, by what is known of it:

`foreign_transaction`: proven not to be a payout of this service; someone else has the key.
`unidentified_transaction`: not known yet; it may be a payout from before a restore.
`unknown_sweep`: the coins are in the cold wallet, and the database does not know the sweep.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.core.facts import OperationFact
from treasury.incidents import unmatched
from treasury.incidents.model import UnmatchedTransaction
from treasury.ports import Sold
from treasury.restores import service as restores_service
from treasury.sender import operations
from treasury.sender.context import SenderContext, log
from treasury.sender.intents import purpose_of
from treasury.sender.operations import Operation
from treasury.signers.intent import Purpose

PATIENCE: Final = timedelta(minutes=1)
"""How long Stripe's answer about a transaction is awaited before an alarm is raised. Not longer: the transaction may be a theft."""


class OriginKind(StrEnum):
    """The origin of a transaction, as far as it is known. All but PENDING are names of alarms."""

    PENDING = "pending"
    FOREIGN = "foreign_transaction"
    UNIDENTIFIED = "unidentified_transaction"
    SWEEP = "unknown_sweep"


ALARM_KINDS: Final = (OriginKind.FOREIGN, OriginKind.UNIDENTIFIED, OriginKind.SWEEP)


class Origin(NamedTuple):
    """The origin of an unmatched transaction, with a note for people: a clause that continues "The transaction ..."."""

    kind: OriginKind
    note: str


_ADVICE: Final[Mapping[OriginKind, str]] = {
    OriginKind.FOREIGN: (
        "Nothing is signed. Someone else has used the key, unless a person here did: see 'A foreign transaction' in docs/runbook.md"
    ),
    OriginKind.UNIDENTIFIED: (
        "Nothing is signed. It may be this service's own payout from before a restore: do not panic before Stripe and the nodes answer"
        " (onramp doctor) and treasury.foreign_transaction is raised, or a person has checked that the recipient is not a buyer."
        " See 'An unidentified transaction' in docs/runbook.md"
    ),
    OriginKind.SWEEP: (
        "Nothing is signed. The coins are in the cold wallet, COLD_SAFE_ADDRESS: probably a sweep or panic from before a restore, not a theft."
        " Once a person recognizes it, two approvers resolve it. See 'An unknown sweep' in docs/runbook.md"
    ),
}


class Origins:
    """Classifies the transactions that no row explains, and raises the alarm of its kind for each that is not PENDING.

    Some of them may be the service's own: their kinds say so.
    """

    def __init__(self, context: SenderContext) -> None:
        self._context = context
        self._sold: Mapping[str, Sold | None] = {}
        """Stripe's answers by reference; None if no completed purchase has the reference."""
        self._raised: dict[str, OriginKind] = {}
        self._rebuilding = 0

    async def ask_stripe(self, references: Collection[str]) -> bool:
        """Ask which purchases these references belong to, and store purchases that the database lost; return whether anything was asked."""
        purchases = self._context.purchases
        if not references or purchases is None:
            self._sold = {}
            return False
        self._sold = await purchases.find(references)
        return True

    async def report(self, rows: list[UnmatchedTransaction], missing: int) -> None:
        """Raise the alarm of its kind for each transaction that is not PENDING; `missing` is how many transactions were not found yet."""
        context = self._context
        ids: dict[str, dict[str, str]] = {}
        verdicts: dict[str, Origin] = {}
        async with context.database.read() as conn:
            for row in rows:
                operation = None if row.reference is None else await operations.by_reference(conn, row.reference)
                if operation is not None:
                    ids[row.id] = operations.ids_of(operation)
                verdicts[row.id] = await self._classify(conn, row, operation)
        changed = [row.id for row in rows if verdicts[row.id].note != row.note]
        if changed:
            async with context.leader.write() as conn:
                for row_id in changed:
                    await unmatched.set_note(conn, row_id, verdicts[row_id].note)
        kinds = {row_id: verdict.kind for row_id, verdict in verdicts.items()}
        # The alarm of another kind may have been raised by a process that led before.
        for row_id in {*self._raised, *kinds}:
            for kind in ALARM_KINDS:
                if kinds.get(row_id) is not kind:
                    context.alarms.clear(kind, row_id)
        self._raised = kinds
        for row in rows:
            kind, note = verdicts[row.id]
            if kind is not OriginKind.PENDING:
                facts = {"nonce": row.nonce, "tx_hash": row.tx_hash, "to": row.to, "note": note}
                context.alarms.raise_alarm(kind, row.id, **ids.get(row.id, {}), **facts, detail=_ADVICE[kind])
        self._count(missing + sum(kind is OriginKind.PENDING for kind in kinds.values()))

    def clear(self) -> None:
        """Clear all alarms, because every transaction is explained."""
        for row_id, kind in self._raised.items():
            self._context.alarms.clear(kind, row_id)
        self._raised = {}
        self._count(0)

    def _count(self, transactions: int) -> None:
        """Report how many transactions are still being attributed; the log says so when the number changes."""
        self._context.metrics.rebuilding(transactions)
        if transactions == self._rebuilding:
            return
        if transactions:
            log.warning("treasury.rebuilding", wallet=self._context.config.wallet, transactions=transactions)
        else:
            log.warning("treasury.rebuilt", wallet=self._context.config.wallet)
        self._rebuilding = transactions

    async def _classify(self, conn: AsyncConnection, row: UnmatchedTransaction, operation: Operation | None) -> Origin:
        context = self._context
        if row.tx_hash is None:
            return Origin(OriginKind.UNIDENTIFIED, row.note)
        if row.reference is None:
            if await self._is_gas_sweep(conn, row):
                note = "pays the gas token to the cold wallet, by a sweep that this database has lost"
                return Origin(OriginKind.SWEEP, note)
            return Origin(OriginKind.FOREIGN, row.note)
        if operation is not None:
            agrees = (operation.to, operation.token, operation.wallet) == (row.to, row.token, context.config.wallet)
            agrees = agrees and (operation.amount == row.amount or purpose_of(operation) is Purpose.PANIC)
            if agrees and not operations.refuses(operation, OperationFact.ADOPTED):
                # Another process stored it a moment ago; the next cycle adopts the transaction.
                return Origin(OriginKind.PENDING, row.note)
            return Origin(OriginKind.FOREIGN, f"carries the reference of {operation.id}, but not as its one payment")
        is_swept = await self._is_swept(conn, row)
        if row.token != context.config.token:
            if is_swept:
                note = "moves a listed token to the cold wallet, by a sweep that this database does not know"
                return Origin(OriginKind.SWEEP, note)
            return Origin(OriginKind.FOREIGN, "moves no MUSD: no payout of this service looks like this")
        if row.reference in self._sold:
            return self._classify_by_purchase(row, self._sold[row.reference], is_swept=is_swept)
        if is_swept:
            note = "moves MUSD to the cold wallet, and Stripe has not said yet whether a purchase has its reference"
            return Origin(OriginKind.PENDING if self._is_young(row) else OriginKind.SWEEP, note)
        if self._is_young(row):
            return Origin(OriginKind.PENDING, "looks like a payout; Stripe is asked which purchase it pays")
        note = "looks like a payout, and Stripe has not said yet whether a purchase has its reference"
        return Origin(OriginKind.UNIDENTIFIED, note)

    def _classify_by_purchase(self, row: UnmatchedTransaction, sold: Sold | None, *, is_swept: bool) -> Origin:
        if sold is None:
            if is_swept:
                note = "moves MUSD to the cold wallet, by a sweep that this database does not know"
                return Origin(OriginKind.SWEEP, note)
            return Origin(OriginKind.FOREIGN, "no completed purchase at Stripe has the reference that it carries")
        session = sold.session_id
        if sold.owed is None or (sold.owed.to, sold.owed.amount) != (row.to, row.amount):
            note = f"carries the reference of {session}, with another amount or recipient than Stripe's purchase has"
            return Origin(OriginKind.FOREIGN, note)
        if sold.objection is not None:
            note = f"pays {session} as Stripe has it, which this database does not own: {sold.objection}"
            return Origin(OriginKind.UNIDENTIFIED, note)
        note = f"pays {session} as Stripe has it, and the purchase owes nothing here: onramp sessions show {session}"
        return Origin(OriginKind.PENDING if self._is_young(row) else OriginKind.UNIDENTIFIED, note)

    def _is_young(self, row: UnmatchedTransaction) -> bool:
        return self._context.clock.now() - row.noticed_at < PATIENCE

    async def _is_gas_sweep(self, conn: AsyncConnection, row: UnmatchedTransaction) -> bool:
        """Return whether `row` paid the gas token to the pinned cold wallet while a restore is open. Only then may it be a sweep of ours."""
        context = self._context
        if context.cold_wallet is None or not row.to == row.token == context.cold_wallet.pin.address:
            return False
        return await restores_service.open_restore(conn, context.hot_wallet) is not None

    async def _is_swept(self, conn: AsyncConnection, row: UnmatchedTransaction) -> bool:
        """Return whether `row` moved MUSD, or a token that the active policy lists, to the pinned cold wallet, as a sweep does."""
        context = self._context
        if context.cold_wallet is None or row.to != context.cold_wallet.pin.address:
            return False
        tokens = {asset.token for asset in await context.policy.assets(conn)}
        return row.token == context.config.token or row.token in tokens
