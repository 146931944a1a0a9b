"""Operations on transactions, each in the caller's open database transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.payonce import FACTORY
from chain.types import ZERO_ADDRESS
from kit.db.types import in_array
from kit.ids import Ids
from kit.state import Moved, Same
from treasury.core import history
from treasury.core.history import BY, Line
from treasury.core.status import Status
from treasury.signers.intent import (
    ApproveIntent,
    DeployIntent,
    Intent,
    NativeTransferIntent,
    PayIntent,
    SelfTransferIntent,
)
from treasury.signers.protocol import Signed
from treasury.transactions.model import BatchPayment, PaymentOutcome, Transaction
from treasury.transactions.states import MOVES, TransactionFact
from treasury.transactions.table import attempts, batch_payments, transactions
from treasury.transitions import Change, transition, transition_all

# Built once: the sender writes in each cycle, and building a statement takes longer than running it.
_INSERT = sa.insert(transactions)
_INSERT_ATTEMPTS = sa.insert(attempts)
_INSERT_PAYMENTS = sa.insert(batch_payments)
_PAYMENT = sa.and_(
    batch_payments.c.transaction_id == sa.bindparam("of_transaction"),
    batch_payments.c.position == sa.bindparam("at_position"),
)
_SET_OUTCOMES = (
    sa.update(batch_payments)
    .where(_PAYMENT)
    .values(outcome=sa.bindparam("new_outcome"), log_index=sa.bindparam("new_index"))
)
_STALL = sa.update(transactions).where(in_array(transactions.c.id, "ids")).values(stall=sa.bindparam("why"))
_COUNT = (
    sa.update(attempts)
    .where(in_array(attempts.c.id, "ids"))
    .values(broadcasts=attempts.c.broadcasts + 1, broadcast_at=sa.bindparam("now"))
)


async def move(
    conn: AsyncConnection,
    transaction_id: str,
    fact: TransactionFact,
    *,
    now: datetime,
    by: str = BY,
    note: str = "",
    **values: Any,
) -> Moved[Status] | Same[Status]:
    """Apply a fact to a transaction. Raises MoveRefused if its state does not allow the fact."""
    return await transition(conn, transactions, MOVES, transaction_id, fact, now=now, by=by, note=note, **values)


async def move_all(conn: AsyncConnection, changes: Sequence[Change], fact: TransactionFact, *, now: datetime) -> None:
    """Apply a fact to many transactions. Raises MoveRefused."""
    await transition_all(conn, transactions, MOVES, changes, fact, now=now, by=BY)


async def allocate_nonces(
    conn: AsyncConnection, intents: Sequence[tuple[Intent, str]], *, now: datetime, ids: Ids
) -> list[str]:
    """Store intents with their nonces, each with the id of the operation that it carries out; return the new ids in this order.

    Raises IntegrityError, by the unique key, if one of these nonces is held already.
    """
    return await _insert(conn, intents, Status.APPROVED, adopted=False, now=now, ids=ids)


async def adopt(
    conn: AsyncConnection,
    intent: Intent,
    operation_id: str,
    *,
    tx_hash: str,
    raw: bytes | None,
    now: datetime,
    ids: Ids,
) -> str:
    """Store a transaction found on chain as the one that carries out `operation_id`; return its new id."""
    (row_id,) = await _insert(conn, [(intent, operation_id)], Status.BROADCAST, adopted=True, now=now, ids=ids)
    await add_attempt(conn, row_id, Signed(raw=raw or b"", hash=tx_hash, request_id=""), intent=None, now=now, ids=ids)
    return row_id


async def _insert(
    conn: AsyncConnection,
    intents: Sequence[tuple[Intent, str]],
    status: Status,
    *,
    adopted: bool,
    now: datetime,
    ids: Ids,
) -> list[str]:
    rows = [
        {
            "id": ids.new("txn_"),
            "chain_id": intent.chain_id,
            "wallet": intent.wallet,
            "nonce": intent.nonce,
            "status": status,
            "operation_id": operation_id,
            "reference": None,
            "gas_limit": intent.gas_limit or None,
            **_movement(intent),
            "adopted": adopted,
            "created_at": now,
            "updated_at": now,
        }
        for intent, operation_id in intents
    ]
    await conn.execute(_INSERT, rows)
    origin = "found on chain" if adopted else "taken"
    lines = [Line(str(row["id"]), None, status, f"nonce {row['nonce']} {origin}") for row in rows]
    await history.record_all(conn, lines, at=now, by=BY)
    return [str(row["id"]) for row in rows]


def _movement(intent: Intent) -> dict[str, Any]:
    """Return the columns that describe what an intent moves; the zero address represents the gas token."""
    if isinstance(intent, DeployIntent):
        # Without its gas limit: if it is dropped by the chain, the sender spends the nonce by a transfer of nothing, which needs far less.
        return {"token": ZERO_ADDRESS, "to_address": FACTORY, "amount": 0, "gas_limit": None}
    if isinstance(intent, ApproveIntent):
        # It calls the token and moves nothing. Without its gas limit, for the same reason.
        return {"token": ZERO_ADDRESS, "to_address": intent.token, "amount": 0, "gas_limit": None}
    if isinstance(intent, SelfTransferIntent):
        return {"token": ZERO_ADDRESS, "to_address": intent.wallet, "amount": 0}
    if isinstance(intent, PayIntent):
        return {"token": intent.token, "to_address": intent.contract, "amount": intent.amount}
    values = {"to_address": intent.to, "amount": intent.amount}
    if isinstance(intent, NativeTransferIntent):
        return {**values, "token": ZERO_ADDRESS}
    reference = None if intent.reference is None else "0x" + intent.reference.hex()
    return {**values, "token": intent.token, "reference": reference}


async def add_payments(
    conn: AsyncConnection, transaction_id: str, intent: PayIntent, payout_ids: Sequence[str | None]
) -> None:
    """Store the payments of a batch, each with the id of its payout, which is None if it is not known."""
    rows = [
        {
            "transaction_id": transaction_id,
            "position": position,
            "payout_id": payout_id,
            "reference": "0x" + payment.reference.hex(),
            "to_address": payment.to,
            "amount": payment.amount,
        }
        for position, (payment, payout_id) in enumerate(zip(intent.payments, payout_ids, strict=True))
    ]
    await conn.execute(_INSERT_PAYMENTS, rows)


async def set_payout(conn: AsyncConnection, transaction_id: str, position: int, payout_id: str) -> None:
    """Record which payout a payment that was found on chain belongs to."""
    await conn.execute(
        sa.update(batch_payments).where(_PAYMENT).values(payout_id=payout_id), _key(transaction_id, position)
    )


async def set_outcomes(
    conn: AsyncConnection,
    transaction_id: str,
    outcomes: Sequence[tuple[BatchPayment, PaymentOutcome | None, int | None]],
) -> None:
    """Record the outcome of each payment of a batch, and the log index of its Transfer; None takes an outcome back."""
    rows = [
        {**_key(transaction_id, payment.position), "new_outcome": outcome, "new_index": log_index}
        for payment, outcome, log_index in outcomes
    ]
    await conn.execute(_SET_OUTCOMES, rows)


def _key(transaction_id: str, position: int) -> dict[str, Any]:
    return {"of_transaction": transaction_id, "at_position": position}


async def add_attempt(
    conn: AsyncConnection,
    transaction_id: str,
    signed: Signed,
    *,
    intent: Intent | None,
    now: datetime,
    ids: Ids,
) -> str:
    """Store the signed bytes of an attempt and return its id; empty bytes mean that only the hash is known."""
    return (await add_attempts(conn, [(transaction_id, signed, intent)], now=now, ids=ids))[0]


async def add_attempts(
    conn: AsyncConnection, signatures: Sequence[tuple[str, Signed, Intent | None]], *, now: datetime, ids: Ids
) -> list[str]:
    """Store the signed bytes of attempts of many transactions; return the new ids in this order."""
    rows = [
        {
            "id": ids.new("att_"),
            "transaction_id": transaction_id,
            "hash": signed.hash,
            "raw": signed.raw or None,
            "max_fee": intent.max_fee if intent else None,
            "priority_fee": intent.priority_fee if intent else None,
            "signer_request_id": signed.request_id or None,
            "signed_at": now,
            "broadcasts": 0,
        }
        for transaction_id, signed, intent in signatures
    ]
    await conn.execute(_INSERT_ATTEMPTS, rows)
    return [str(row["id"]) for row in rows]


async def count_broadcasts(conn: AsyncConnection, attempt_ids: Sequence[str], now: datetime) -> None:
    """Count one more broadcast of these attempts."""
    await conn.execute(_COUNT, {"ids": list(attempt_ids), "now": now})


async def set_stall(conn: AsyncConnection, transaction_ids: Sequence[str], stall: str | None) -> None:
    """Set the reason for which these transactions make no progress; None clears it. Their status stays."""
    await conn.execute(_STALL, {"ids": list(transaction_ids), "why": stall})


async def release_nonce(conn: AsyncConnection, transaction: Transaction, *, now: datetime) -> None:
    """Release the nonce of a transaction without stored bytes. Raises MoveRefused if it has some."""
    note = f"nonce {transaction.nonce} released: no signed bytes were stored"
    await move(conn, transaction.id, TransactionFact.NONCE_RELEASED, now=now, note=note, nonce=None)


async def turn_into_self_transfer(
    conn: AsyncConnection, transaction_id: str, *, operation_id: str, wallet: str, token: str
) -> None:
    """Change a transaction without bytes into a self-transfer of nothing, which only spends its nonce.

    The payments of a batch count as failed, because they will never be made: their references are free.
    """
    c = transactions.c
    values = {"operation_id": operation_id, "token": token, "to_address": wallet, "amount": 0, "reference": None}
    unsigned = sa.and_(c.id == transaction_id, c.status == Status.APPROVED)
    changed = await conn.execute(sa.update(transactions).where(unsigned).values(values))
    if changed.rowcount == 1:
        never_made = sa.update(batch_payments).where(batch_payments.c.transaction_id == transaction_id)
        await conn.execute(never_made.values(outcome=PaymentOutcome.FAILED))
