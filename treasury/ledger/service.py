"""Post to the ledger and read it, each in the caller's open transaction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.inserts import insert_or_ignore
from kit.db.types import in_array
from treasury.core.status import Status
from treasury.ledger import totals
from treasury.ledger.model import Movement, Posting
from treasury.ledger.states import HOT, Account, account_of, kind_of
from treasury.ledger.table import ledger, to_posting


def _row(movement: Movement) -> dict[str, Any]:
    return {
        "wallet": movement.wallet,
        "asset": movement.asset,
        "kind": movement.kind,
        "subject": movement.subject,
        "sequence": movement.sequence,
        "from_account": movement.source,
        "to_account": movement.target,
        "amount": movement.amount,
        "block_number": movement.block_number,
        "actor": movement.by,
        "note": movement.note,
        "at": movement.at,
    }


async def post(conn: AsyncConnection, movements: Sequence[Movement]) -> int:
    """Post movements; return how many of them had not been posted before."""
    return len(
        await insert_or_ignore(
            conn, ledger, [_row(movement) for movement in movements], ["subject", "asset", "sequence"]
        )
    )


async def move_to_account(
    conn: AsyncConnection, table: sa.Table, row_id: str, status: Status, *, now: datetime, by: str
) -> None:
    """Move the amount of a payout or sweep from its present account to the account of `status`."""
    await move_all_to_account(conn, table, [row_id], status, now=now, by=by)


_POSTINGS_OF = sa.select(ledger).where(in_array(ledger.c.subject, "ids")).order_by(ledger.c.sequence)


async def move_all_to_account(
    conn: AsyncConnection, table: sa.Table, row_ids: Sequence[str], status: Status, *, now: datetime, by: str
) -> None:
    """Move the amounts of many payouts or sweeps that reached one status together to its account."""
    target = account_of(table.name, status)
    if target is None or not row_ids:
        return
    rows = (await conn.execute(_amounts_of(table), {"ids": list(row_ids)})).fetchall()
    postings = [to_posting(row) for row in (await conn.execute(_POSTINGS_OF, {"ids": list(row_ids)})).fetchall()]
    lasts = {(posting.subject, posting.asset): posting for posting in postings}
    movements = []
    for row in rows:
        last = lasts.get((row.id, row.asset))
        source_account, sequence = (Account.AVAILABLE, 0) if last is None else (last.to_account, last.sequence + 1)
        steps = [(source_account, target, row.amount)]
        if last is not None and last.amount != row.amount and source_account is not Account.AVAILABLE:
            # A panic takes what there is when it is signed, which differs from what was reserved for it.
            steps = [(source_account, Account.AVAILABLE, last.amount), (Account.AVAILABLE, target, row.amount)]
        for source, destination, amount in steps:
            if source is not destination:
                movements.append(
                    Movement(
                        wallet=row.wallet,
                        asset=row.asset,
                        kind=kind_of(source, destination),
                        subject=row.id,
                        sequence=sequence,
                        source=source,
                        target=destination,
                        amount=amount,
                        block_number=row.block_number,
                        by=by,
                        at=now,
                    )
                )
                sequence += 1
    await post(conn, movements)


@cache
def _amounts_of(table: sa.Table) -> Any:
    # Built once for each table: building a statement takes longer than running it.
    c = table.c
    query = sa.select(c.id, c.wallet, c.asset, c.amount, c.block_number)
    return query.where(in_array(c.id, "ids"))


async def balances(conn: AsyncConnection, wallet: str, asset: str) -> dict[Account, int]:
    """Return the balance of each account of an asset in base units. They always sum to zero."""
    total: Counter[Account] = Counter()
    for (source, target), amount in (await totals.flows(conn, wallet, asset)).items():
        total[source] -= amount
        total[target] += amount
    return dict(total)


async def hot_balance_at(conn: AsyncConnection, wallet: str, asset: str, block_number: int) -> int:
    """Return the base units that the wallet must hold at a block: its accounts now, plus what left them in later blocks."""
    accounts = await balances(conn, wallet, asset)
    c = ledger.c
    later = sa.and_(c.wallet == wallet, c.asset == asset, c.block_number > block_number)
    moved_later = 0
    for row in await select(conn, later):
        moved_later += row.amount * ((row.from_account in HOT) - (row.to_account in HOT))
    return sum(accounts.get(account, 0) for account in HOT) + moved_later


async def write_off(
    conn: AsyncConnection, wallet: str, asset: str, amount: int, *, by: str, note: str, now: datetime
) -> int:
    """Write off missing coins that persons have explained, at most `amount`; return the base units written off."""
    missing = min(amount, (await balances(conn, wallet, asset)).get(Account.SUSPENSE, 0))
    if missing > 0:
        await adjust(
            conn,
            Movement(
                wallet=wallet,
                asset=asset,
                kind="answer",
                subject=wallet,
                source=Account.SUSPENSE,
                target=Account.EXTERNAL_IN,
                amount=missing,
                at=now,
                by=by,
                note=note,
            ),
        )
    return missing


async def adjust(conn: AsyncConnection, movement: Movement) -> None:
    """Post a movement that the chain or a person reports, numbered after the last one of its subject; its own `sequence` is not used."""
    c, posted = ledger.c, 0
    query = sa.select(sa.func.max(c.sequence)).where(c.subject == movement.subject, c.asset == movement.asset)
    while not posted:
        # The leader and a person may post at once: the second one finds the number taken, and takes the next.
        last = (await conn.execute(query)).scalar()
        posted = await post(conn, [replace(movement, sequence=0 if last is None else last + 1)])


# From one asset to the next by the index: DISTINCT reads every posting.
_FIRST = (sa.select(sa.func.min(ledger.c.asset).label("asset")).where(ledger.c.wallet == sa.bindparam("wallet"))).cte(
    "listed", recursive=True
)
_NEXT_ASSET = (
    sa.select(sa.func.min(ledger.c.asset))
    .where(ledger.c.wallet == sa.bindparam("wallet"), ledger.c.asset > _FIRST.c.asset)
    .scalar_subquery()
)
_ASSETS = _FIRST.union_all(sa.select(_NEXT_ASSET).where(_FIRST.c.asset.is_not(None)))
_LISTED = sa.select(_ASSETS.c.asset).where(_ASSETS.c.asset.is_not(None))


async def assets(conn: AsyncConnection, wallet: str) -> list[str]:
    """Return the assets that have at least one posting for this wallet."""
    return list((await conn.execute(_LISTED, {"wallet": wallet})).scalars())


async def is_opened(conn: AsyncConnection, wallet: str, asset: str) -> bool:
    """Return whether the opening balance of an asset was posted."""
    c = ledger.c
    query = sa.select(sa.literal(1)).where(c.wallet == wallet, c.asset == asset, c.kind == "opening").limit(1)
    return (await conn.execute(query)).first() is not None


async def was_compared_after(conn: AsyncConnection, wallet: str, asset: str, block_number: int) -> bool:
    """Return whether a comparison with the chain at a later block was posted."""
    c = ledger.c
    later = sa.and_(c.subject == wallet, c.asset == asset, c.block_number > block_number)
    return (await conn.execute(sa.select(sa.literal(1)).where(later).limit(1))).first() is not None


async def page(
    conn: AsyncConnection, wallets: Sequence[str], *, limit: int = 50, before: int | None = None
) -> list[Posting]:
    """Return up to `limit` postings of these wallets, newest first; with `before`, those older than the posting with that id."""
    # Nearly all postings are of these wallets. The function makes SQLite read by id instead of sorting all of them.
    of_wallets = sa.func.coalesce(ledger.c.wallet, "").in_(wallets)
    query = sa.select(ledger).where(of_wallets).order_by(ledger.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(ledger.c.id < before)
    return [to_posting(row) for row in (await conn.execute(query)).fetchall()]


async def select(conn: AsyncConnection, *conditions: sa.ColumnElement[bool]) -> list[Posting]:
    """Return the postings that meet all conditions, oldest first."""
    rows = await conn.execute(sa.select(ledger).where(*conditions).order_by(ledger.c.id))
    return [to_posting(row) for row in rows.fetchall()]
