"""Nonce, signature, stored bytes: in this order for each operation, and for several operations at once.

A key service takes a tenth of a second for a signature, however many are requested. So several nonces are allocated in one transaction
and their signatures requested together. Bytes are stored in the order of nonces. Those behind a signature that failed are dropped
unseen: nothing else has them, and the next cycle releases their nonces.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.core.facts import OperationFact
from treasury.core.status import Status
from treasury.incidents import unmatched
from treasury.payouts.model import Payout
from treasury.sender import operations
from treasury.sender.context import SenderContext, log
from treasury.sender.holds import ReadyOperation
from treasury.sender.intents import pay_intent, payment_to, transfer_intent
from treasury.sender.nonces import NextNonce, next_to_sign
from treasury.sender.signer_calls import SignerCalls
from treasury.signers.intent import Intent
from treasury.signers.protocol import Signed
from treasury.sweeps.model import Sweep
from treasury.transactions import queries
from treasury.transactions import service as transactions_service
from treasury.transactions.model import BATCH_PREFIX, Transaction
from treasury.transactions.states import TransactionFact
from treasury.transitions import Change


class Batch(NamedTuple):
    """Payouts that are paid together, in one transaction with this gas limit. No recipient occurs twice."""

    ready: Sequence[ReadyOperation]
    gas_limit: int

    @property
    def payouts(self) -> list[Payout]:
        """The payouts; sweeps are never part of a batch."""
        return [entry.operation for entry in self.ready if isinstance(entry.operation, Payout)]


class Allocation(NamedTuple):
    """Operations with one nonce: what is to be signed for them, and the id of the transaction that holds the nonce."""

    ready: Sequence[ReadyOperation]
    intent: Intent
    transaction_id: str


class SignedAllocation(NamedTuple):
    """An allocation with its signed bytes, which are not stored yet."""

    allocation: Allocation
    signed: Signed


class Pipeline:
    """Turns operations that passed every check into stored transactions."""

    def __init__(self, context: SenderContext, signing: SignerCalls) -> None:
        self._context = context
        self._signing = signing

    async def carry_out(self, ready: Sequence[ReadyOperation], next_nonce: NextNonce) -> list[Transaction]:
        """Allocate nonces from `next_nonce` on, sign and store; return the stored transactions, lowest nonce first.

        `ready` is one sweep, or any number of payouts.
        """
        return await self._carry_out(ready, next_nonce, None)

    async def pay_together(self, batch: Batch, next_nonce: NextNonce) -> list[Transaction]:
        """Allocate one nonce for these payouts, sign and store; return the stored transaction, or nothing if a row changed meanwhile."""
        return await self._carry_out(batch.ready, next_nonce, batch.gas_limit)

    async def _carry_out(
        self, ready: Sequence[ReadyOperation], next_nonce: NextNonce, batch_gas: int | None
    ) -> list[Transaction]:
        """Carry out each operation with a nonce of its own, or, if `batch_gas` is given, all with one; `batch_gas` is the batch's gas limit."""
        context = self._context
        allocations = await self._allocate(ready, next_nonce, batch_gas)
        for _ in allocations:
            context.checkpoint("nonce_taken")
        async with context.database.read() as conn:
            # A pause may have come together with the nonce: then nothing is signed, and the next cycle releases the nonce.
            if not allocations or not await self._allowed(conn, ready[0]):
                return []
        signed = await self._sign(allocations)
        transactions = await self._store(signed) if signed else []
        for transaction in transactions:
            context.checkpoint("stored")
            tx_hash = transaction.attempts[-1].hash
            for _, ids in operations.subjects_of(transaction):
                log.info("treasury.signed", **ids, nonce=transaction.nonce, tx_hash=tx_hash)
        return transactions

    async def _allocate(
        self, ready: Sequence[ReadyOperation], next_nonce: NextNonce, batch_gas: int | None
    ) -> list[Allocation]:
        """Store nonces and intents in one transaction, up to the first row that changed since it was checked.

        None after a pause, and none, except for a panic, after a restore was declared.
        """
        context, now = self._context, self._context.clock.now()
        references = [entry.operation.reference for entry in ready]
        async with context.leader.write() as conn:
            if not await self._allowed(conn, ready[0]) or await next_to_sign(conn, context.hot_wallet) != next_nonce:
                return []
            current = await operations.get_all(conn, [entry.operation.id for entry in ready])
            used = await unmatched.used_references(conn, references) | await queries.used_references(conn, references)

            def is_unchanged(entry: ReadyOperation) -> bool:
                return current.get(entry.operation.id) == entry.operation and entry.operation.reference not in used

            unchanged = list(takewhile(is_unchanged, ready))
            if not unchanged:
                return []
            if batch_gas is None:
                allocations = await self._insert(conn, unchanged, next_nonce.number)
            else:
                allocations = [await self._insert_batch(conn, Batch(unchanged, batch_gas), next_nonce.number)]
            changes = [_allocated(allocation, entry) for allocation in allocations for entry in allocation.ready]
            await operations.move_all(conn, changes, OperationFact.READY, now=now)
        for entry in unchanged:
            if entry.operation.reason is not None:
                kind = operations.kind_of(entry.operation.id)
                context.alarms.clear(f"{kind}_{entry.operation.reason}", entry.operation.id)
        return allocations

    async def _insert(self, conn: AsyncConnection, ready: Sequence[ReadyOperation], first: int) -> list[Allocation]:
        """Store a transaction for each operation, with nonces from `first` on."""
        context = self._context
        intents = [
            transfer_intent(context.config, entry.operation, place, entry.amount, entry.gas_limit, entry.fees)
            for place, entry in enumerate(ready, start=first)
        ]
        pairs = [(intent, entry.operation.id) for intent, entry in zip(intents, ready, strict=True)]
        rows = await transactions_service.allocate_nonces(conn, pairs, now=context.clock.now(), ids=context.ids)
        return [Allocation([entry], intent, row) for entry, intent, row in zip(ready, intents, rows, strict=True)]

    async def _insert_batch(self, conn: AsyncConnection, batch: Batch, nonce: int) -> Allocation:
        """Store one transaction for all these payouts, with its payments."""
        context, config = self._context, self._context.config
        assert config.contract is not None
        payouts = batch.payouts
        payments = tuple(payment_to(payout) for payout in payouts)
        intent = pay_intent(
            config, config.contract, config.token, payments, nonce, batch.gas_limit, batch.ready[0].fees
        )
        pair = (intent, context.ids.new(BATCH_PREFIX))
        (row_id,) = await transactions_service.allocate_nonces(conn, [pair], now=context.clock.now(), ids=context.ids)
        await transactions_service.add_payments(conn, row_id, intent, [payout.id for payout in payouts])
        return Allocation(batch.ready, intent, row_id)

    async def _allowed(self, conn: AsyncConnection, ready: ReadyOperation) -> bool:
        """Return whether no pause came, and a sweep's policy is still the one it was approved under: the checks take time."""
        gate, operation = self._context.gate, ready.operation
        if ready.panic:
            return True
        if not isinstance(operation, Sweep):
            return await gate.payouts_allowed(conn)
        same_policy = operation.policy_version == await self._context.policy.version(conn)
        return same_policy and await gate.sweeps_allowed(conn)

    async def _sign(self, allocations: Sequence[Allocation]) -> list[SignedAllocation]:
        """Request all signatures together; return those before the first that failed."""
        results = await self._signing.sign_all([allocation.intent for allocation in allocations])
        signed: list[SignedAllocation] = []
        for allocation, result in zip(allocations, results, strict=True):
            if result is None:
                break
            self._context.checkpoint("signed")
            signed.append(SignedAllocation(allocation, result))
        return signed

    async def _store(self, signed: Sequence[SignedAllocation]) -> list[Transaction]:
        context, now = self._context, self._context.clock.now()
        rows = [allocation.transaction_id for allocation, _ in signed]
        async with context.leader.write() as conn:
            attempts = [(allocation.transaction_id, bytes_, allocation.intent) for allocation, bytes_ in signed]
            await transactions_service.add_attempts(conn, attempts, now=now, ids=context.ids)
            changes = [
                Change(row, bytes_.hash, was=Status.APPROVED) for row, (_, bytes_) in zip(rows, signed, strict=True)
            ]
            await transactions_service.move_all(conn, changes, TransactionFact.STORED, now=now)
            changes = [
                Change(entry.operation.id, bytes_.hash, {"tx_hash": bytes_.hash}, was=Status.APPROVED)
                for allocation, bytes_ in signed
                for entry in allocation.ready
            ]
            await operations.move_all(conn, changes, OperationFact.SIGNED, now=now)
            return await queries.get_all(conn, rows)


def _allocated(allocation: Allocation, ready: ReadyOperation) -> Change:
    """Return the change of an operation that gets a nonce. For a panic it also sets the amount, which is known only now."""
    values: dict[str, Any] = {"transaction_id": allocation.transaction_id, "reason": None}
    if ready.panic:
        values["amount"] = ready.amount
    note = f"nonce {allocation.intent.nonce} taken"
    return Change(ready.operation.id, note, values, was=ready.operation.status)
