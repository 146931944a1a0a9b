"""The verbs of transactions, each in the caller's open transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import ZERO_ADDRESS
from kit.db.types import in_array
from kit.ids import Ids
from kit.state import Moved, Same
from treasury.core import history
from treasury.core.history import BY, Line
from treasury.core.status import Status
from treasury.signers.intent import Intent, NativeTransferIntent, SelfTransferIntent, TransferIntent
from treasury.signers.protocol import Signed
from treasury.transactions.states import MOVES, TransactionFact
from treasury.transactions.table import Transaction, attempts, transactions
from treasury.transitions import Change, transition, transition_all

# Written once: the sender writes in each cycle, and building the text cost more than its run.
_INSERT = sa.insert(transactions)
_INSERT_ATTEMPTS = sa.insert(attempts)
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
    """Tell a fact to a transaction. Raises MoveRefused."""
    return await transition(conn, transactions, MOVES, transaction_id, fact, now=now, by=by, note=note, **values)


async def move_all(conn: AsyncConnection, changes: Sequence[Change], fact: TransactionFact, *, now: datetime) -> None:
    """Tell a fact to many. Raises MoveRefused."""
    await transition_all(conn, transactions, MOVES, changes, fact, now=now, by=BY)


async def allocate_nonces(
    conn: AsyncConnection, wanted: Sequence[tuple[Intent, str]], *, now: datetime, ids: Ids
) -> list[str]:
    """Store intents with their nonces, each with the operation it carries out; the new ids in this order.

    The unique key raises IntegrityError where one of these nonces is held already.
    """
    return await _insert(conn, wanted, Status.APPROVED, adopted=False, now=now, ids=ids)


async def adopt(
    conn: AsyncConnection,
    intent: TransferIntent,
    operation_id: str,
    *,
    tx_hash: str,
    raw: bytes | None,
    now: datetime,
    ids: Ids,
) -> str:
    """Take over a transaction found on chain as the one that carries out `operation_id`."""
    (row_id,) = await _insert(conn, [(intent, operation_id)], Status.BROADCAST, adopted=True, now=now, ids=ids)
    await add_attempt(conn, row_id, Signed(raw=raw or b"", hash=tx_hash, request_id=""), intent=None, now=now, ids=ids)
    return row_id


async def _insert(
    conn: AsyncConnection,
    wanted: Sequence[tuple[Intent, str]],
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
            **_moved(intent),
            "gas_limit": intent.gas_limit or None,
            "adopted": adopted,
            "created_at": now,
            "updated_at": now,
        }
        for intent, operation_id in wanted
    ]
    await conn.execute(_INSERT, rows)
    how = "found on chain" if adopted else "taken"
    lines = [Line(str(row["id"]), None, status, f"nonce {row['nonce']} {how}") for row in rows]
    await history.record_all(conn, lines, at=now, by=BY)
    return [str(row["id"]) for row in rows]


def _moved(intent: Intent) -> dict[str, Any]:
    """What a transaction moves, as its row says it; the gas token stands as the zero address."""
    if isinstance(intent, SelfTransferIntent):
        return {"token": ZERO_ADDRESS, "to_address": intent.wallet, "amount": 0}
    values = {"to_address": intent.to, "amount": intent.amount}
    if isinstance(intent, NativeTransferIntent):
        return {**values, "token": ZERO_ADDRESS}
    reference = None if intent.reference is None else "0x" + intent.reference.hex()
    return {**values, "token": intent.token, "reference": reference}


async def add_attempt(
    conn: AsyncConnection,
    transaction_id: str,
    signed: Signed,
    *,
    intent: Intent | None,
    now: datetime,
    ids: Ids,
) -> str:
    """Store signed bytes; empty bytes mean that only the hash is known."""
    return (await add_attempts(conn, [(transaction_id, signed, intent)], now=now, ids=ids))[0]


async def add_attempts(
    conn: AsyncConnection, made: Sequence[tuple[str, Signed, Intent | None]], *, now: datetime, ids: Ids
) -> list[str]:
    """The same for many transactions; the new ids in this order."""
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
        for transaction_id, signed, intent in made
    ]
    await conn.execute(_INSERT_ATTEMPTS, rows)
    return [str(row["id"]) for row in rows]


async def count_broadcasts(conn: AsyncConnection, attempt_ids: Sequence[str], now: datetime) -> None:
    """One more time that the bytes of these were handed to the nodes."""
    await conn.execute(_COUNT, {"ids": list(attempt_ids), "now": now})


async def set_stall(conn: AsyncConnection, transaction_ids: Sequence[str], stall: str | None) -> None:
    """Why these do not get on, or None; a reason, not a status."""
    await conn.execute(_STALL, {"ids": list(transaction_ids), "why": stall})


async def release_nonce(conn: AsyncConnection, transaction: Transaction, *, now: datetime) -> None:
    """Free the nonce of a transaction that never had stored bytes. Raises MoveRefused once it has."""
    note = f"nonce {transaction.nonce} given back, nothing was signed and kept"
    await move(conn, transaction.id, TransactionFact.NONCE_RELEASED, now=now, note=note, nonce=None)


async def turn_into_self_transfer(
    conn: AsyncConnection, transaction_id: str, *, operation_id: str, wallet: str, token: str
) -> None:
    """Let a transaction without bytes move nothing to the wallet itself, for the sake of its nonce alone."""
    c = transactions.c
    values = {"operation_id": operation_id, "token": token, "to_address": wallet, "amount": 0, "reference": None}
    unsigned = sa.and_(c.id == transaction_id, c.status == Status.APPROVED)
    await conn.execute(sa.update(transactions).where(unsigned).values(values))
