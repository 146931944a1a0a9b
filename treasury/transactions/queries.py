"""What is asked about transactions, each on the caller's connection; nothing is changed here."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.types import in_array
from treasury.core.hot_wallets import HotWallet
from treasury.core.reasons import Reason
from treasury.core.status import IN_FLIGHT, Status
from treasury.payouts.table import payouts
from treasury.transactions.table import Attempt, Transaction, attempts, to_attempt, to_transaction, transactions

# Written once: the sender asks in each cycle, and building the text cost more than its run.
_HERE = sa.and_(transactions.c.chain_id == sa.bindparam("chain_id"), transactions.c.wallet == sa.bindparam("wallet"))
HIGHEST_NONCE = sa.select(sa.func.max(transactions.c.nonce)).where(_HERE)
NONCES = sa.select(transactions.c.nonce).where(_HERE, transactions.c.nonce.is_not(None))
_SESSION = sa.select(payouts.c.session_id).where(payouts.c.id == transactions.c.operation_id).scalar_subquery()
# With the purchase that each pays, as every line of the log about one names it.
_ALL = sa.select(transactions, _SESSION.label("session_id"))
# By an expression, so that SQLite finds the few by their state, and sorts them, instead of reading all in the order of their nonces.
_MINE = _ALL.where(_HERE).order_by(transactions.c.nonce + sa.literal_column("0"))
_IN_STATUS = _MINE.where(in_array(transactions.c.status, "statuses"))
_UNCOUNTED = transactions.c.nonce >= sa.bindparam("count", type_=sa.BigInteger())
_DECIDED = transactions.c.status.in_([Status.FINAL, Status.REVERTED])
_IN_BLOCKS = sa.select(transactions.c.block_number, transactions.c.block_hash, transactions.c.nonce).where(
    _HERE, _DECIDED
)
# Two queries, as each has an index: with OR between them, every transaction ever made was read.
_LOOK_AGAIN = sa.union_all(
    _IN_BLOCKS.where(transactions.c.block_number >= sa.bindparam("block", type_=sa.BigInteger())),
    _IN_BLOCKS.where(_UNCOUNTED),
).subquery()
_DECIDED_BLOCKS = (
    sa.select(_LOOK_AGAIN.c.block_number, _LOOK_AGAIN.c.block_hash, sa.func.max(_LOOK_AGAIN.c.nonce))
    .group_by(_LOOK_AGAIN.c.block_number, _LOOK_AGAIN.c.block_hash)
    .order_by(_LOOK_AGAIN.c.block_number)
)
_ANY_UNCOUNTED = (
    sa.select(sa.literal(1))
    .where(
        _HERE,
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
        _HERE,
        transactions.c.status.in_(list(IN_FLIGHT)),
        transactions.c.stall.is_distinct_from(Reason.MISMATCH),
        transactions.c.nonce < sa.bindparam("below", type_=sa.BigInteger()),
    )
    .limit(1)
)
_BY_ID = _ALL.where(in_array(transactions.c.id, "ids"))
_OF_OPERATIONS = _ALL.where(in_array(transactions.c.operation_id, "operations"))
_CARRIED = sa.select(transactions.c.reference).where(
    in_array(transactions.c.reference, "references"),
    transactions.c.status.not_in([Status.CANCELLED, Status.REVERTED]),
)
_ATTEMPTS = (
    sa.select(attempts).where(in_array(attempts.c.transaction_id, "ids")).order_by(attempts.c.signed_at, attempts.c.id)
)


async def get(conn: AsyncConnection, transaction_id: str) -> Transaction | None:
    """One transaction with its attempts."""
    found = await _select(conn, transactions.c.id == transaction_id)
    return found[0] if found else None


async def by_nonce(conn: AsyncConnection, wallet: HotWallet, nonce: int) -> Transaction | None:
    """The transaction that holds a nonce."""
    c = transactions.c
    found = await _select(conn, sa.and_(c.chain_id == wallet.chain_id, c.wallet == wallet.address, c.nonce == nonce))
    return found[0] if found else None


async def get_all(conn: AsyncConnection, transaction_ids: Sequence[str]) -> list[Transaction]:
    """These, lowest nonce first."""
    query = _BY_ID.order_by(transactions.c.nonce)
    return await _with_attempts(conn, (await conn.execute(query, {"ids": list(transaction_ids)})).fetchall())


async def of_operations(conn: AsyncConnection, operation_ids: Sequence[str]) -> list[Transaction]:
    """Those with signed bytes that were made for these payouts or sweeps."""
    rows = (await conn.execute(_OF_OPERATIONS, {"operations": list(operation_ids)})).fetchall()
    return [transaction for transaction in await _with_attempts(conn, rows) if transaction.attempts]


async def in_status(conn: AsyncConnection, wallet: HotWallet, statuses: Collection[Status]) -> list[Transaction]:
    """The wallet's transactions in some states, lowest nonce first."""
    known = {**wallet.columns, "statuses": list(statuses)}
    return await _with_attempts(conn, (await conn.execute(_IN_STATUS, known)).fetchall())


async def decided_blocks(
    conn: AsyncConnection, wallet: HotWallet, since: int, count: int
) -> dict[tuple[int, str], int]:
    """The blocks to look at again, by number and hash, and the highest nonce in each: those from `since` on in which one is final, or failed.

    However old, also those of nonces that the chain, which counts `count` transactions of the wallet, does not count.
    """
    known = {**wallet.columns, "block": since, "count": count}
    rows = await conn.execute(_DECIDED_BLOCKS, known)
    return {(number, block_hash): nonce for number, block_hash, nonce in rows if block_hash is not None}


async def decided_in(conn: AsyncConnection, wallet: HotWallet, number: int, block_hash: str) -> list[Transaction]:
    """Those that are final in one block, or failed there."""
    t = transactions.c
    here = sa.and_(
        t.chain_id == wallet.chain_id, t.wallet == wallet.address, t.block_number == number, t.block_hash == block_hash
    )
    return await _select(conn, sa.and_(here, _DECIDED))


async def any_in_flight(conn: AsyncConnection, wallet: HotWallet, below: int | None = None) -> bool:
    """Whether one is signed and not final yet, of a nonce under `below` where given; one that did something else is over."""
    known = {**wallet.columns, "below": _NO_NONCE if below is None else below}
    return (await conn.execute(_ANY_IN_FLIGHT, known)).first() is not None


async def any_uncounted(conn: AsyncConnection, wallet: HotWallet, count: int, block: int) -> bool:
    """Whether one is final here in a block up to `block`, at which the chain, with a count of `count`, does not count it."""
    known = {**wallet.columns, "count": count, "block": block}
    return (await conn.execute(_ANY_UNCOUNTED, known)).first() is not None


async def highest_nonce(conn: AsyncConnection, wallet: HotWallet) -> int | None:
    """The highest nonce any of our rows holds."""
    highest: int | None = (await conn.execute(HIGHEST_NONCE, wallet.columns)).scalar_one()
    return highest


async def operation_of(conn: AsyncConnection, tx_hash: str) -> str | None:
    """What the attempt with this hash was signed for; None where none of ours has it."""
    query = sa.select(transactions.c.operation_id).join(attempts, attempts.c.transaction_id == transactions.c.id)
    operation: str | None = (await conn.execute(query.where(attempts.c.hash == tx_hash))).scalar()
    return operation


async def used_references(conn: AsyncConnection, references: Sequence[str]) -> set[str]:
    """Which of these a transaction of ours carries that may still be mined, or was."""
    return set((await conn.execute(_CARRIED, {"references": list(references)})).scalars())


async def _select(conn: AsyncConnection, condition: sa.ColumnElement[bool]) -> list[Transaction]:
    query = _ALL.where(condition).order_by(transactions.c.nonce)
    return await _with_attempts(conn, (await conn.execute(query)).fetchall())


async def _with_attempts(conn: AsyncConnection, rows: Sequence[sa.Row[Any]]) -> list[Transaction]:
    if not rows:
        return []
    tries: dict[str, list[Attempt]] = {}
    for row in (await conn.execute(_ATTEMPTS, {"ids": [row.id for row in rows]})).fetchall():
        tries.setdefault(row.transaction_id, []).append(to_attempt(row))
    return [to_transaction(row, tuple(tries.get(row.id, ()))) for row in rows]
