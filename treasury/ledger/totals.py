"""Running totals of the ledger: how much moved from one account to another, without reading every posting ever made.

A database trigger adds a row for each posting in the posting's own transaction, whichever version of the code posts, so that totals and
postings never differ. Adding a row never waits, as changing a shared total would; `fold` merges the rows. USDC that Stripe owes is kept
by session until all of it has arrived. The trigger also marks a transaction once its gas is posted.
"""

from collections import Counter
from collections.abc import Collection
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import metadata
from kit.db.types import Uint256
from treasury.core.assets import USDC
from treasury.ledger.states import Account

ledger_totals = sa.Table(
    "ledger_totals",
    metadata,
    # Postgres numbers rows of BIGINT, SQLite only of INTEGER.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("wallet", sa.String(42), nullable=False),
    sa.Column("asset", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(80), nullable=False, comment="a session whose USDC has not all arrived, or empty"),
    sa.Column("from_account", sa.String(16), nullable=False),
    sa.Column("to_account", sa.String(16), nullable=False),
    sa.Column("amount", Uint256(), nullable=False),
    sa.Index("ix_ledger_totals_wallet", "wallet", "asset", "subject"),
    sa.Index("ix_ledger_totals_subject", "subject", "from_account"),
)
_C: Final = ledger_totals.c
_Key = tuple[str, str, str, str, str]
FOLD_FROM: Final = 200
"""The number of rows from which merging them is worth a transaction."""
_MAX_ROWS: Final = 5_000
_MAX_SUBJECTS: Final = 500
_OF_ASSET: Final = sa.and_(_C.wallet == sa.bindparam("wallet"), _C.asset == sa.bindparam("asset"))
_ROWS: Final = sa.select(_C.from_account, _C.to_account, _C.amount).where(_OF_ASSET)
_SUMS: Final = (
    sa.select(_C.from_account, _C.to_account, sa.func.sum(_C.amount))
    .where(_OF_ASSET)
    .group_by(_C.from_account, _C.to_account)
)


async def flows(conn: AsyncConnection, wallet: str, asset: str) -> Counter[tuple[Account, Account]]:
    """Return how many base units of an asset were ever moved from one account to another, for each pair of accounts."""
    # Amounts are text on SQLite, and 256 bits do not fit its integers.
    query = _SUMS if conn.dialect.name == "postgresql" else _ROWS
    total: Counter[tuple[Account, Account]] = Counter()
    for source, target, amount in await conn.execute(query, {"wallet": wallet, "asset": asset}):
        total[Account(source), Account(target)] += int(amount)
    return total


async def open_sessions(conn: AsyncConnection, wallets: Collection[str]) -> list[str]:
    """Return the sessions whose USDC may not all have arrived: every one for which it has not, and some that were not folded yet."""
    of_wallets = sa.and_(_C.wallet.in_(wallets), _C.asset == USDC, _C.subject > "")
    return list((await conn.execute(sa.select(_C.subject).where(of_wallets).distinct())).scalars())


async def changes(conn: AsyncConnection) -> int:
    """Return how many rows `fold` could merge."""
    merged = sa.select(sa.func.count()).select_from(ledger_totals).where(_C.subject == "")
    settled = (
        sa.select(sa.func.count())
        .select_from(ledger_totals)
        .where(_C.subject > "", _C.from_account == Account.RECEIVABLE)
    )
    return int(await conn.scalar(sa.select(merged.scalar_subquery() + settled.scalar_subquery())) or 0)


async def fold(conn: AsyncConnection) -> int:
    """Merge some rows in the caller's transaction; return how many were merged. It may run concurrently, and changes no total."""
    totals: Counter[_Key] = Counter()
    merged = await _settled(conn, totals) + await _oldest(conn, totals)
    names = ("wallet", "asset", "subject", "from_account", "to_account")
    rows = [{**dict(zip(names, key, strict=True)), "amount": amount} for key, amount in totals.items()]
    if rows:
        await conn.execute(sa.insert(ledger_totals), rows)
    return merged


async def _oldest(conn: AsyncConnection, totals: Counter[_Key]) -> int:
    """Take the oldest rows without a session into `totals`."""
    oldest: sa.Select[Any] = sa.select(_C.id).where(_C.subject == "").order_by(_C.id).limit(_MAX_ROWS)
    if conn.dialect.name == "postgresql":
        oldest = oldest.with_for_update(skip_locked=True)
    rows = (await conn.execute(sa.delete(ledger_totals).where(_C.id.in_(oldest)).returning(*_C))).fetchall()
    for row in rows:
        totals[row.wallet, row.asset, "", row.from_account, row.to_account] += row.amount
    return len(rows)


async def _settled(conn: AsyncConnection, totals: Counter[_Key]) -> int:
    """Take the rows of sessions whose USDC has all arrived into `totals`, without their session."""
    some = _C.subject > ""
    subjects = sa.select(_C.subject).where(some, _C.from_account == Account.RECEIVABLE).distinct().limit(_MAX_SUBJECTS)
    query = sa.select(ledger_totals).where(_C.subject.in_(subjects)).order_by(_C.id).with_for_update()
    rows = (await conn.execute(query)).fetchall()
    receivable: Counter[tuple[str, str]] = Counter()
    for row in rows:
        sign = (row.to_account == Account.RECEIVABLE) - (row.from_account == Account.RECEIVABLE)
        receivable[row.wallet, row.subject] += sign * row.amount
    settled = [row for row in rows if not receivable[row.wallet, row.subject]]
    if settled:
        await conn.execute(sa.delete(ledger_totals).where(_C.id.in_([row.id for row in settled])))
    for row in settled:
        totals[row.wallet, row.asset, "", row.from_account, row.to_account] += row.amount
    return len(settled)
