"""Nonce, signature, stored bytes: in this order for each operation, and for several of them side by side.

A key service takes a tenth of a second for a signature, however many are asked for. So several nonces are given out in one
transaction and signed for at once. Bytes are stored in nonce order, and those behind a signature that failed are dropped
unseen: nobody has them, and the next cycle gives their nonces back.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.core.facts import OperationFact
from treasury.core.status import Status
from treasury.incidents import unmatched
from treasury.sender import operations
from treasury.sender.adoption import next_nonce
from treasury.sender.context import SenderContext, log
from treasury.sender.holds import Ready
from treasury.sender.intents import movement
from treasury.sender.signing import Signing
from treasury.signers.intent import Intent
from treasury.signers.protocol import Signed
from treasury.sweeps.model import Sweep
from treasury.transactions import queries
from treasury.transactions import service as transactions_service
from treasury.transactions.model import Transaction
from treasury.transactions.states import TransactionFact
from treasury.transitions import Change

Taken = tuple[Ready, Intent, str]
"""An operation, what is to be signed for it, and the transaction that holds its nonce."""


class Pipeline:
    """Carries out what nothing speaks against."""

    def __init__(self, desk: SenderContext, signing: Signing) -> None:
        """Nothing is remembered here."""
        self._desk = desk
        self._signing = signing

    async def carry_out(self, ready: Sequence[Ready], nonce: int) -> list[Transaction]:
        """All payouts, or one sweep: the first gets `nonce`. What is stored now, lowest nonce first."""
        desk = self._desk
        taken = await self._take(ready, nonce)
        for _ in taken:
            desk.checkpoint("nonce_taken")
        async with desk.database.read() as conn:
            # A pause that came together with the nonce: nothing is signed, and the next cycle gives the nonce back.
            if not taken or not await self._allowed(conn, ready[0]):
                return []
        answers = await self._signing.sign_all([intent for _, intent, _ in taken])
        signed: list[tuple[Taken, Signed]] = []
        for one, answer in zip(taken, answers, strict=True):
            if answer is None:
                break
            desk.checkpoint("signed")
            signed.append((one, answer))
        stored = await self._store(signed) if signed else []
        for transaction in stored:
            desk.checkpoint("stored")
            tx_hash = transaction.attempts[-1].hash
            log.info("treasury.signed", **operations.ids_of(transaction), nonce=transaction.nonce, tx_hash=tx_hash)
        return stored

    async def _take(self, ready: Sequence[Ready], nonce: int) -> list[Taken]:
        """Nonces and intents in one transaction, up to a row that changed since it was checked; none where a pause came."""
        desk, now = self._desk, self._desk.clock.now()
        references = [one.operation.reference for one in ready]
        async with desk.leader.write() as conn:
            if not await self._allowed(conn, ready[0]) or await next_nonce(desk, conn) != nonce:
                return []
            current = await operations.get_all(conn, [one.operation.id for one in ready])
            spent = await unmatched.used_references(conn, references) | await queries.used_references(conn, references)

            def unchanged(one: Ready) -> bool:
                return current.get(one.operation.id) == one.operation and one.operation.reference not in spent

            good = list(takewhile(unchanged, ready))
            if not good:
                return []
            intents = [
                movement(desk.config, one.operation, nonce + place, one.amount, one.gas_limit, one.fees)
                for place, one in enumerate(good)
            ]
            wanted = [(intent, one.operation.id) for one, intent in zip(good, intents, strict=True)]
            rows = await transactions_service.allocate_nonces(conn, wanted, now=now, ids=desk.ids)
            taken: list[Taken] = list(zip(good, intents, rows, strict=True))
            await operations.move_all(conn, [_took(one) for one in taken], OperationFact.READY, now=now)
        for one in good:
            if one.operation.reason is not None:
                kind = operations.kind_of(one.operation.id)
                desk.alarms.clear(f"{kind}_{one.operation.reason}", one.operation.id)
        return taken

    async def _allowed(self, conn: AsyncConnection, ready: Ready) -> bool:
        """No pause came, and a sweep is made under the policy that it was approved under: its proofs took their time."""
        gate, operation = self._desk.gate, ready.operation
        if ready.panic:
            return True
        if not isinstance(operation, Sweep):
            return await gate.payouts_allowed(conn)
        same_policy = operation.policy_version == await self._desk.rules.version(conn)
        return same_policy and await gate.sweeps_allowed(conn)

    async def _store(self, signed: Sequence[tuple[Taken, Signed]]) -> list[Transaction]:
        desk, now = self._desk, self._desk.clock.now()
        rows = [row for (_, _, row), _ in signed]
        async with desk.leader.write() as conn:
            made = [(row, bytes_, intent) for (_, intent, row), bytes_ in signed]
            await transactions_service.add_attempts(conn, made, now=now, ids=desk.ids)
            stored = [Change(row, bytes_.hash, was=Status.APPROVED) for (_, _, row), bytes_ in signed]
            await transactions_service.move_all(conn, stored, TransactionFact.STORED, now=now)
            told = [
                Change(ready.operation.id, bytes_.hash, {"tx_hash": bytes_.hash}, was=Status.APPROVED)
                for (ready, _, _), bytes_ in signed
            ]
            await operations.move_all(conn, told, OperationFact.SIGNED, now=now)
            return await queries.get_all(conn, rows)


def _took(taken: Taken) -> Change:
    ready, intent, row = taken
    amount: dict[str, Any] = {"amount": ready.amount} if ready.panic else {}
    values = {"transaction_id": row, "reason": None, **amount}
    return Change(ready.operation.id, f"nonce {intent.nonce} taken", values, was=ready.operation.status)
