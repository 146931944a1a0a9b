"""Reads of transactions, each on the caller's connection."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.types import in_array
from treasury.core.hot_wallets import HotWallet
from treasury.core.reasons import Reason
from treasury.core.status import IN_FLIGHT, Status
from treasury.payouts.table import payouts
from treasury.transactions.model import BATCH_PREFIX, Attempt, BatchPayment, PaymentOutcome, Transaction
from treasury.transactions.table import (
    attempts,
    batch_payments,
    to_attempt,
    to_batch_payment,
    to_transaction,
    transactions,
)

# Built once: the sender reads these in each cycle, and building a statement takes longer than running it.
_OF_WALLET = sa.and_(
    transactions.c.chain_id == sa.bindparam("chain_id"), transactions.c.wallet == sa.bindparam("wallet")
)
HIGHEST_NONCE = sa.select(sa.func.max(transactions.c.nonce)).where(_OF_WALLET)
NONCES = sa.select(transactions.c.nonce).where(_OF_WALLET, transactions.c.nonce.is_not(None))
_SESSION = sa.select(payouts.c.session_id).where(payouts.c.id == transactions.c.operation_id).scalar_subquery()
# With the session that each pays, as every log line about a transaction names it.
_ALL = sa.select(transactions, _SESSION.label("session_id"))
# Sorted by an expression, so that SQLite finds the few rows by their status instead of reading all rows in nonce order.
_ALL_OF_WALLET = _ALL.where(_OF_WALLET).order_by(transactions.c.nonce + sa.literal_column("0"))
_IN_STATUS = _ALL_OF_WALLET.where(in_array(transactions.c.status, "statuses"))
_UNCOUNTED = transactions.c.nonce >= sa.bindparam("count", type_=sa.BigInteger())
_DECIDED = transactions.c.status.in_([Status.FINAL, Status.REVERTED])
_IN_BLOCKS = sa.select(transactions.c.block_number, transactions.c.block_hash, transactions.c.nonce).where(
    _OF_WALLET, _DECIDED
)
# Two queries, each with an index: one query with OR read every transaction ever made.
_TO_RECHECK = sa.union_all(
    _IN_BLOCKS.where(transactions.c.block_number >= sa.bindparam("block", type_=sa.BigInteger())),
    _IN_BLOCKS.where(_UNCOUNTED),
).subquery()
_DECIDED_BLOCKS = (
    sa.select(_TO_RECHECK.c.block_number, _TO_RECHECK.c.block_hash, sa.func.max(_TO_RECHECK.c.nonce))
    .group_by(_TO_RECHECK.c.block_number, _TO_RECHECK.c.block_hash)
    .order_by(_TO_RECHECK.c.block_number)
)
_ANY_UNCOUNTED = (
    sa.select(sa.literal(1))
    .where(
        _OF_WALLET,
        transactions.c.status == Status.FINAL,
        _UNCOUNTED,
        transactions.c.block_number <= sa.bindparam("block", type_=sa.BigInteger()),
    )
    .limit(1)
)
_NO_NONCE = 2**62
_ANY_IN_FLIGHT = (
    sa.select(sa.literal(1))
    .where(
        _OF_WALLET,
        transactions.c.status.in_(list(IN_FLIGHT)),
        transactions.c.stall.is_distinct_from(Reason.MISMATCH),
        transactions.c.nonce < sa.bindparam("below", type_=sa.BigInteger()),
    )
    .limit(1)
)
_BY_ID = _ALL.where(in_array(transactions.c.id, "ids"))
_BATCH_OF = sa.select(batch_payments.c.transaction_id).where(in_array(batch_payments.c.payout_id, "operations"))
_OF_OPERATIONS = sa.union_all(
    _ALL.where(in_array(transactions.c.operation_id, "operations")), _ALL.where(transactions.c.id.in_(_BATCH_OF))
)
_MAY_BE_MINED = transactions.c.status.not_in([Status.CANCELLED, Status.REVERTED])
# A payment that the token refused, or that another transaction had made, does not use its reference here.
_USED_REFERENCES = sa.union_all(
    sa.select(transactions.c.reference).where(in_array(transactions.c.reference, "references"), _MAY_BE_MINED),
    sa.select(batch_payments.c.reference)
    .join(transactions, transactions.c.id == batch_payments.c.transaction_id)
    .where(
        in_array(batch_payments.c.reference, "references"),
        _MAY_BE_MINED,
        sa.func.coalesce(batch_payments.c.outcome, PaymentOutcome.PAID) == PaymentOutcome.PAID,
    ),
)
_ATTEMPTS = (
    sa.select(attempts).where(in_array(attempts.c.transaction_id, "ids")).order_by(attempts.c.signed_at, attempts.c.id)
)
_UNCLAIMED = (
    sa.select(transactions.c.nonce, batch_payments.c.reference)
    .join(batch_payments, batch_payments.c.transaction_id == transactions.c.id)
    .where(
        _OF_WALLET,
        transactions.c.nonce.is_not(None),
        _MAY_BE_MINED,
        batch_payments.c.payout_id.is_(None),
        sa.func.coalesce(batch_payments.c.outcome, PaymentOutcome.PAID) == PaymentOutcome.PAID,
    )
    .order_by(transactions.c.nonce, batch_payments.c.position)
)
_PAYMENTS = (
    sa.select(batch_payments, payouts.c.session_id)
    .outerjoin(payouts, payouts.c.id == batch_payments.c.payout_id)
    .where(in_array(batch_payments.c.transaction_id, "ids"))
    .order_by(batch_payments.c.transaction_id, batch_payments.c.position)
)


async def get(conn: AsyncConnection, transaction_id: str) -> Transaction | None:
    """Return a transaction with its attempts; None if there is none with this id."""
    rows = await _select(conn, transactions.c.id == transaction_id)
    return rows[0] if rows else None


async def by_nonce(conn: AsyncConnection, wallet: HotWallet, nonce: int) -> Transaction | None:
    """Return the transaction that holds a nonce of the wallet; None if none does."""
    c = transactions.c
    rows = await _select(conn, sa.and_(c.chain_id == wallet.chain_id, c.wallet == wallet.address, c.nonce == nonce))
    return rows[0] if rows else None


async def get_all(conn: AsyncConnection, transaction_ids: Sequence[str]) -> list[Transaction]:
    """Return transactions by their ids, lowest nonce first."""
    query = _BY_ID.order_by(transactions.c.nonce)
    return await _with_attempts(conn, (await conn.execute(query, {"ids": list(transaction_ids)})).fetchall())


async def of_operations(conn: AsyncConnection, operation_ids: Sequence[str]) -> list[Transaction]:
    """Return the transactions with signed bytes that were made for these payouts or sweeps."""
    rows = (await conn.execute(_OF_OPERATIONS, {"operations": list(operation_ids)})).fetchall()
    return [transaction for transaction in await _with_attempts(conn, rows) if transaction.attempts]


async def in_status(conn: AsyncConnection, wallet: HotWallet, statuses: Collection[Status]) -> list[Transaction]:
    """Return the wallet's transactions in these statuses, lowest nonce first."""
    parameters = {**wallet.columns, "statuses": list(statuses)}
    return await _with_attempts(conn, (await conn.execute(_IN_STATUS, parameters)).fetchall())


async def decided_blocks(
    conn: AsyncConnection, wallet: HotWallet, since: int, count: int
) -> dict[tuple[int, str], int]:
    """Return the blocks to check again, as (number, hash) -> the highest nonce in the block.

    These are the blocks in which a transaction is final or reverted, if they are not older than block `since` or if the transaction's nonce
    is `count` or higher. The chain counts `count` transactions of the wallet, so it does not count such a transaction.
    """
    parameters = {**wallet.columns, "block": since, "count": count}
    rows = await conn.execute(_DECIDED_BLOCKS, parameters)
    return {(number, block_hash): nonce for number, block_hash, nonce in rows if block_hash is not None}


async def decided_in(conn: AsyncConnection, wallet: HotWallet, number: int, block_hash: str) -> list[Transaction]:
    """Return the transactions that are final or reverted in one block."""
    t = transactions.c
    in_block = sa.and_(
        t.chain_id == wallet.chain_id, t.wallet == wallet.address, t.block_number == number, t.block_hash == block_hash
    )
    return await _select(conn, sa.and_(in_block, _DECIDED))


async def any_in_flight(conn: AsyncConnection, wallet: HotWallet, below: int | None = None) -> bool:
    """Return whether a transaction, with a nonce under `below` if given, is signed and not decided; one with reason `mismatch` is decided."""
    parameters = {**wallet.columns, "below": _NO_NONCE if below is None else below}
    return (await conn.execute(_ANY_IN_FLIGHT, parameters)).first() is not None


async def any_uncounted(conn: AsyncConnection, wallet: HotWallet, count: int, block: int) -> bool:
    """Return whether a transaction is final here, in a block up to `block`, but the chain does not count it: its nonce is `count` or higher."""
    parameters = {**wallet.columns, "count": count, "block": block}
    return (await conn.execute(_ANY_UNCOUNTED, parameters)).first() is not None


async def highest_nonce(conn: AsyncConnection, wallet: HotWallet) -> int | None:
    """Return the highest nonce that a transaction row of the wallet holds; None if no row holds one."""
    highest: int | None = (await conn.execute(HIGHEST_NONCE, wallet.columns)).scalar_one()
    return highest


async def operation_of(conn: AsyncConnection, tx_hash: str) -> str | None:
    """Return the id of the operation that the attempt with this hash was signed for; None if no attempt has it."""
    query = sa.select(transactions.c.operation_id).join(attempts, attempts.c.transaction_id == transactions.c.id)
    operation: str | None = (await conn.execute(query.where(attempts.c.hash == tx_hash))).scalar()
    return operation


async def by_hash(conn: AsyncConnection, tx_hash: str) -> Transaction | None:
    """Return the transaction of which an attempt has this hash; None if no attempt has it."""
    signed = sa.select(attempts.c.transaction_id).where(attempts.c.hash == tx_hash)
    rows = await _select(conn, transactions.c.id.in_(signed))
    return rows[0] if rows else None


async def used_references(conn: AsyncConnection, references: Sequence[str]) -> set[str]:
    """Return those of `references` that belong to a transaction of ours that was mined or may still be mined."""
    return set((await conn.execute(_USED_REFERENCES, {"references": list(references)})).scalars())


async def unclaimed_references(conn: AsyncConnection, wallet: HotWallet) -> dict[int, list[str]]:
    """Return by nonce the references of batch payments that moved, or may have moved, tokens for no payout that is known here."""
    references: dict[int, list[str]] = {}
    for nonce, reference in await conn.execute(_UNCLAIMED, wallet.columns):
        references.setdefault(nonce, []).append(reference)
    return references


async def is_unclaimed_payment(
    conn: AsyncConnection, wallet: str, token: str, to: str, amount: int, reference: str
) -> bool:
    """Return whether a batch of `wallet` made exactly this payment for no payout that is known here."""
    b, t = batch_payments.c, transactions.c
    query = (
        sa.select(sa.literal(1))
        .join(transactions, t.id == b.transaction_id)
        .where(b.reference == reference, b.payout_id.is_(None), b.to_address == to, b.amount == amount)
        .where(t.wallet == wallet, t.token == token, _MAY_BE_MINED)
        .where(sa.func.coalesce(b.outcome, PaymentOutcome.PAID) == PaymentOutcome.PAID)
    )
    return (await conn.execute(query)).first() is not None


async def _select(conn: AsyncConnection, condition: sa.ColumnElement[bool]) -> list[Transaction]:
    query = _ALL.where(condition).order_by(transactions.c.nonce)
    return await _with_attempts(conn, (await conn.execute(query)).fetchall())


async def _with_attempts(conn: AsyncConnection, rows: Sequence[sa.Row[Any]]) -> list[Transaction]:
    if not rows:
        return []
    attempts_of: dict[str, list[Attempt]] = {}
    for row in (await conn.execute(_ATTEMPTS, {"ids": [row.id for row in rows]})).fetchall():
        attempts_of.setdefault(row.transaction_id, []).append(to_attempt(row))
    payments_of = await _payments_of(conn, [row.id for row in rows if row.operation_id.startswith(BATCH_PREFIX)])
    return [to_transaction(row, tuple(attempts_of.get(row.id, ())), tuple(payments_of.get(row.id, ()))) for row in rows]


async def _payments_of(conn: AsyncConnection, batch_ids: Sequence[str]) -> dict[str, list[BatchPayment]]:
    payments: dict[str, list[BatchPayment]] = {}
    if batch_ids:
        for row in (await conn.execute(_PAYMENTS, {"ids": list(batch_ids)})).fetchall():
            payments.setdefault(row.transaction_id, []).append(to_batch_payment(row))
    return payments
