"""Tell the wallet's own payouts that a restored database has lost from transactions that someone else made with its key.

A payout is `transfer(to, amount)` of the wallet's token followed by a reference, the hash of the purchase that it pays. Whoever
holds the key can append 32 bytes, too, so the shape alone proves nothing: Stripe is asked for a completed purchase that hashes to the
reference. Until it has answered, for a minute at most, nothing is signed and no alarm rings; after that every transaction that is not
adopted rings, by what is known of it:

`foreign_transaction`: proven not to be a payout of this service; someone else has the key.
`unidentified_transaction`: nobody can say yet; it may be a payout from before a restore.
`unknown_sweep`: the coins are in the cold wallet, and the database does not know the sweep.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.core.facts import OperationFact
from treasury.incidents import unmatched
from treasury.incidents.model import UnmatchedTransaction
from treasury.ports import Purchases, Sold
from treasury.sender import operations
from treasury.sender.context import SenderContext, log
from treasury.sender.intents import purpose_of
from treasury.sender.operations import Operation
from treasury.signers.intent import Purpose

PATIENCE: Final = timedelta(minutes=1)
"""Before an alarm rings about a transaction that Stripe's answer would tell more of. Not longer: it may be a theft."""


class Kind(StrEnum):
    """What a transaction is as far as is known; all but LOOKING are names of alarms."""

    LOOKING = "looking"
    FOREIGN = "foreign_transaction"
    UNIDENTIFIED = "unidentified_transaction"
    SWEEP = "unknown_sweep"


_ADVICE: Final[Mapping[Kind, str]] = {
    Kind.FOREIGN: "Nothing is signed. Someone else has used the key, unless a person here did: see 'A foreign transaction' in docs/runbook.md",
    Kind.UNIDENTIFIED: (
        "Nothing is signed. It may be this service's own payout from before a restore: do not panic before Stripe and the nodes answer"
        " (onramp doctor) and treasury.foreign_transaction rings, or a person has seen that the recipient is no buyer."
        " See 'An unidentified transaction' in docs/runbook.md"
    ),
    Kind.SWEEP: (
        "Nothing is signed. The coins are in the cold wallet, COLD_SAFE_ADDRESS: probably a sweep or panic from before a restore, no theft."
        " Once somebody knows it, two approvers answer it. See 'An unknown sweep' in docs/runbook.md"
    ),
}


class Origins:
    """Judges the transactions that no row explains, and rings for those that are not the service's own."""

    def __init__(self, desk: SenderContext, purchases: Purchases | None) -> None:
        """`purchases` None: nobody can be asked, so what may be a payout stays unidentified."""
        self._desk = desk
        self._purchases = purchases
        self._told: Mapping[str, Sold | None] = {}
        self._rang: dict[str, Kind] = {}
        self._rebuilding = 0

    async def ask(self, rows: list[UnmatchedTransaction]) -> bool:
        """Let Stripe say which purchases these pay; those that the database lost are stored. True where anything was asked."""
        token = self._desk.config.token
        wanted = {row.reference for row in rows if row.reference is not None and row.token == token}
        if not wanted or self._purchases is None:
            self._told = {}
            return False
        self._told = await self._purchases.find(wanted)
        return True

    async def ring(self, rows: list[UnmatchedTransaction], missing: int) -> None:
        """Begin the alarms about what is not the service's own; `missing` transactions are not found yet."""
        desk = self._desk
        named: dict[str, dict[str, str]] = {}
        async with desk.database.read() as conn:
            judged = []
            for row in rows:
                operation = None if row.reference is None else await operations.by_reference(conn, row.reference)
                if operation is not None:
                    named[row.id] = operations.ids_of(operation)
                judged.append((row, *await self._judge(conn, row, operation)))
        news = [(row.id, note) for row, _, note in judged if note != row.note]
        if news:
            async with desk.leader.write() as conn:
                for row_id, note in news:
                    await unmatched.set_note(conn, row_id, note)
        kinds = {row.id: kind for row, kind, _ in judged}
        for row_id, before in self._rang.items():
            if kinds.get(row_id) is not before:
                desk.alarms.clear(before, row_id)
        self._rang = kinds
        for row, kind, note in judged:
            if kind is not Kind.LOOKING:
                facts = {"nonce": row.nonce, "tx_hash": row.tx_hash, "to": row.to, "note": note}
                desk.alarms.ring(kind, row.id, **named.get(row.id, {}), **facts, detail=_ADVICE[kind])
        self._count(missing + sum(kind is Kind.LOOKING for kind in kinds.values()))

    def rest(self) -> None:
        """Everything is explained."""
        for row_id, kind in self._rang.items():
            self._desk.alarms.clear(kind, row_id)
        self._rang = {}
        self._count(0)

    def _count(self, transactions: int) -> None:
        """Show how many are still being attributed, in the log when the number changes."""
        self._desk.metrics.rebuilding(transactions)
        if transactions == self._rebuilding:
            return
        if transactions:
            log.warning("treasury.rebuilding", wallet=self._desk.config.wallet, transactions=transactions)
        else:
            log.warning("treasury.rebuilt", wallet=self._desk.config.wallet)
        self._rebuilding = transactions

    async def _judge(
        self, conn: AsyncConnection, row: UnmatchedTransaction, operation: Operation | None
    ) -> tuple[Kind, str]:
        """What a transaction is, with a note for people: half a sentence about it."""
        desk = self._desk
        if row.tx_hash is None:
            return Kind.UNIDENTIFIED, row.note
        if row.reference is None:
            return Kind.FOREIGN, row.note
        if operation is not None:
            agrees = (operation.to, operation.token, operation.wallet) == (row.to, row.token, desk.config.wallet)
            agrees = agrees and (operation.amount == row.amount or purpose_of(operation) is Purpose.PANIC)
            if agrees and not operations.refuses(operation, OperationFact.ADOPTED):
                # Written a moment ago by another process; the next cycle adopts.
                return Kind.LOOKING, row.note
            return Kind.FOREIGN, f"carries the reference of {operation.id}, but not as its one payment"
        is_swept = await self._is_swept(conn, row)
        if row.token != desk.config.token:
            if is_swept:
                return (
                    Kind.SWEEP,
                    "moves a listed token to the cold wallet, by a sweep that this database does not know",
                )
            return Kind.FOREIGN, "moves no MUSD: no payout of this service looks like this"
        if row.reference in self._told:
            return self._by_stripe(row, self._told[row.reference], is_swept=is_swept)
        if is_swept:
            swept = "moves MUSD to the cold wallet, and Stripe has not said yet whether a purchase has its reference"
            return (Kind.LOOKING if self._is_young(row) else Kind.SWEEP), swept
        if self._is_young(row):
            return Kind.LOOKING, "looks like a payout; Stripe is asked which purchase it pays"
        return (
            Kind.UNIDENTIFIED,
            "looks like a payout, and Stripe has not said yet whether a purchase has its reference",
        )

    def _by_stripe(self, row: UnmatchedTransaction, sold: Sold | None, *, is_swept: bool) -> tuple[Kind, str]:
        if sold is None:
            if is_swept:
                return Kind.SWEEP, "moves MUSD to the cold wallet, by a sweep that this database does not know"
            return Kind.FOREIGN, "no completed purchase at Stripe has the reference that it carries"
        if sold.owed is None or (sold.owed.to, sold.owed.amount) != (row.to, row.amount):
            text = f"carries the reference of {sold.session_id}, with another amount or recipient than Stripe's purchase has"
            return Kind.FOREIGN, text
        if sold.objection is not None:
            return (
                Kind.UNIDENTIFIED,
                f"pays {sold.session_id} as Stripe has it, which this database does not own: {sold.objection}",
            )
        text = f"pays {sold.session_id} as Stripe has it, and the purchase owes nothing here: onramp sessions show {sold.session_id}"
        return (Kind.LOOKING if self._is_young(row) else Kind.UNIDENTIFIED), text

    def _is_young(self, row: UnmatchedTransaction) -> bool:
        return self._desk.clock.now() - row.noticed_at < PATIENCE

    async def _is_swept(self, conn: AsyncConnection, row: UnmatchedTransaction) -> bool:
        """Whether it moved a coin that this service holds to the pinned cold wallet, as a sweep does."""
        desk = self._desk
        if desk.cold is None or row.to != desk.cold.pin.address:
            return False
        return row.token == desk.config.token or row.token in {asset.token for asset in await desk.rules.assets(conn)}
