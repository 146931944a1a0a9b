"""Ask for changes to be recorded, and read and delete them, inside the caller's transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.types import db_now
from onramp.live_changes.table import live_changes, live_watchers

WATCH_SECONDS: Final = 30.0
"""How long changes are recorded for a process after it asked for them."""
KEPT: Final = timedelta(minutes=10)
"""How long recorded changes are kept: longer than any process may take to read them."""
MAX_ROWS: Final = 1_000
_C = live_changes.c
_NEWEST: Final = sa.select(_C.id).order_by(_C.id.desc()).limit(MAX_ROWS)
# Two queries: with OR, Postgres would read the whole index.
_AFTER: Final = sa.select(_C.id, _C.kind, _C.subject).where(_C.id > sa.bindparam("after", type_=sa.BigInteger()))
_MISSED: Final = sa.select(_C.id, _C.kind, _C.subject).where(_C.id.in_(sa.bindparam("ids", expanding=True)))


@dataclass(frozen=True, slots=True)
class LiveChange:
    """One change of a row that an operator's screen shows."""

    id: int
    kind: str
    """What changed, such as `payout` or `alarm`."""
    subject: str
    """The id of the row."""


async def watch(conn: AsyncConnection, process: str) -> None:
    """Have changes recorded for this process for WATCH_SECONDS from now on."""
    until = db_now(WATCH_SECONDS)
    renewed = await conn.execute(
        sa.update(live_watchers).where(live_watchers.c.id == process).values(watches_until=until)
    )
    if renewed.rowcount == 0:
        await conn.execute(sa.insert(live_watchers).values(id=process, watches_until=until))


async def stop_watching(conn: AsyncConnection, process: str) -> None:
    """End the recording for this process."""
    await conn.execute(sa.delete(live_watchers).where(live_watchers.c.id == process))


async def newest_ids(conn: AsyncConnection) -> list[int]:
    """Return the ids of the newest changes, at most MAX_ROWS, the newest first."""
    return list((await conn.execute(_NEWEST)).scalars())


async def after(conn: AsyncConnection, newest: int, missed: Collection[int]) -> Sequence[LiveChange]:
    """Return the changes with ids above `newest`, at most MAX_ROWS, and those with one of the ids `missed`, in the order of their ids."""
    rows = (await conn.execute(_AFTER.order_by(_C.id).limit(MAX_ROWS), {"after": newest})).fetchall()
    late = (await conn.execute(_MISSED, {"ids": list(missed)})).fetchall() if missed else []
    return [LiveChange(row.id, row.kind, row.subject) for row in sorted([*late, *rows], key=lambda row: row.id)]


async def prune(conn: AsyncConnection, /, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` changes that were recorded before a time, and the processes that stopped watching before it. Return how many changes."""
    await conn.execute(sa.delete(live_watchers).where(live_watchers.c.watches_until < before))
    oldest = sa.select(_C.id).where(_C.at < before).order_by(_C.id).limit(limit)
    return (await conn.execute(sa.delete(live_changes).where(_C.id.in_(oldest)))).rowcount
