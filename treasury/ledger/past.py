"""The hot wallet's balances in the past: the accounts now, less what was posted since."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.types import UtcDateTime
from treasury.ledger import service as ledger_service
from treasury.ledger.states import HOT, Account
from treasury.ledger.table import ledger

PACE: Final = timedelta(hours=24)
"""The time over which the outflow is averaged for the runway."""
_SPENT: Final = (Account.PAID_OUT, Account.GAS)
_C: Final = ledger.c
_Flows = Counter[tuple[Account, Account]]


@dataclass(frozen=True, slots=True)
class Point:
    """The balances at one time, in base units. `held` is reserved for buyers and sweeps, or signed and not decided."""

    at: datetime
    available: int
    held: int


async def points(
    conn: AsyncConnection, wallet: str, asset: str, *, since: datetime, until: datetime, count: int
) -> list[Point]:
    """Return the balances at `since` and at `count` equidistant times up to `until`, without a beginning at which there was nothing.

    It reads the postings from `since` on, on Postgres as sums; an index finds them by their time.
    """
    step = (until - since) / count
    moved = await _moved(conn, wallet, asset, since, step, count)
    accounts = Counter(await ledger_service.balances(conn, wallet, asset))
    _undo(accounts, moved[count])
    rows = []
    for number in reversed(range(count)):
        rows.append(_point(since + (number + 1) * step, accounts))
        _undo(accounts, moved[number])
    rows.append(_point(since, accounts))
    return _without_beginning(rows[::-1])


async def runway_hours(conn: AsyncConnection, wallet: str, asset: str, now: datetime) -> int | None:
    """Return for how many hours the available balance lasts at the pace of the last 24; None if nothing was spent in them.

    Spent is what left the wallet for buyers and for gas; sweeps are not.
    """
    since = now - PACE
    flows = (await _moved(conn, wallet, asset, since, PACE, 1))[0]
    spent = sum(amount for (source, target), amount in flows.items() if source in HOT and target in _SPENT)
    spent -= sum(amount for (source, target), amount in flows.items() if source in _SPENT and target in HOT)
    if spent <= 0:
        return None
    available = (await ledger_service.balances(conn, wallet, asset)).get(Account.AVAILABLE, 0)
    return max(available, 0) * (int(PACE.total_seconds()) // 3600) // spent


async def _moved(
    conn: AsyncConnection, wallet: str, asset: str, since: datetime, step: timedelta, count: int
) -> Mapping[int, _Flows]:
    """Return by interval what was posted from `since` on; interval number `count` is everything after the last of `count` intervals."""
    later = sa.and_(_C.wallet == wallet, _C.asset == asset, _C.at >= since)
    moved: defaultdict[int, _Flows] = defaultdict(Counter)
    if conn.dialect.name == "postgresql":
        for row in await conn.execute(_sums(later, since, step, count)):
            moved[int(row.number)][Account(row.from_account), Account(row.to_account)] += int(row.amount)
        return moved
    # Amounts are text on SQLite, and 256 bits do not fit its integers.
    for row in await conn.execute(sa.select(_C.at, _C.from_account, _C.to_account, _C.amount).where(later)):
        number = min((row.at - since) // step, count)
        moved[number][Account(row.from_account), Account(row.to_account)] += row.amount
    return moved


def _sums(later: sa.ColumnElement[bool], since: datetime, step: timedelta, count: int) -> sa.Select[Any]:
    # In whole microseconds, so that a posting at the boundary of two intervals is in the later one.
    passed = sa.func.extract("epoch", _C.at - sa.literal(since, UtcDateTime())) * 1_000_000
    length = sa.literal(step // timedelta(microseconds=1), sa.BigInteger())
    number = sa.func.least(sa.func.floor(passed / length), count).label("number")
    summed = sa.select(number, _C.from_account, _C.to_account, sa.func.sum(_C.amount).label("amount"))
    return summed.where(later).group_by(sa.literal_column("number"), _C.from_account, _C.to_account)


def _undo(accounts: Counter[Account], flows: _Flows) -> None:
    for (source, target), amount in flows.items():
        accounts[source] += amount
        accounts[target] -= amount


def _point(at: datetime, accounts: Mapping[Account, int]) -> Point:
    held = accounts.get(Account.HELD, 0) + accounts.get(Account.IN_FLIGHT, 0)
    return Point(at, accounts.get(Account.AVAILABLE, 0), held)


def _without_beginning(rows: list[Point]) -> list[Point]:
    first = next((index for index, row in enumerate(rows) if row.available or row.held), len(rows) - 1)
    return rows[first:]
