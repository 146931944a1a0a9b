"""Write heartbeats, and read from them which workers live. Ages are differences on the database's clock alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import Database
from kit.db.types import UtcDateTime, db_now
from kit.heartbeats.table import worker_heartbeats

EVERY_SECONDS: Final = 3.0
"""Between two heartbeats of one process."""
PRESENT_SECONDS: Final = 12.0
"""A worker whose newest heartbeat is older is not running: several heartbeats in a row are missing."""
KEPT: Final = timedelta(days=1)
"""How long the row of a process that did not stop in order is kept."""


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker, all processes that run it taken together."""

    worker: str
    processes: int
    """How many processes run it now; 0 where all heartbeats are older than PRESENT_SECONDS."""
    age_seconds: float
    """Age of the newest heartbeat."""
    busy_seconds: int
    """How long the step under way has lasted, in the process where it has lasted the shortest; 0 while one rests."""

    @property
    def is_present(self) -> bool:
        """Whether a process runs it now."""
        return self.processes > 0


async def beat(conn: AsyncConnection, process: str, busy: Mapping[str, float]) -> datetime:
    """Write a heartbeat for each worker of `busy` (name -> seconds that its step under way has lasted); the database's time.

    One statement; nothing is written for a process without workers. Raises what the database raises where it cannot write.
    """
    now = db_now()
    if not busy:
        read: datetime = (await conn.execute(sa.select(now))).scalar_one()
        return read
    rows: Sequence[dict[str, Any]] = [
        {"id": f"{process}/{worker}", "process": process, "worker": worker, "started_at": now, "seen_at": now}
        | {"busy_seconds": int(seconds)}
        for worker, seconds in busy.items()
    ]
    insert = (postgresql if conn.dialect.name == "postgresql" else sqlite).insert(worker_heartbeats).values(rows)
    statement = insert.on_conflict_do_update(
        index_elements=[worker_heartbeats.c.id],
        set_={"seen_at": insert.excluded.seen_at, "busy_seconds": insert.excluded.busy_seconds},
    ).returning(worker_heartbeats.c.seen_at)
    seen: Sequence[datetime] = (await conn.execute(statement)).scalars().all()
    return seen[0]


async def prove_space(conn: AsyncConnection) -> None:
    """Write a megabyte that the commit drops again: a heartbeat fits into space that is allocated already, this does not.

    Raises what the database raises where there is no space, or where it takes no writes.
    """
    text = "SELECT g AS n, md5(CAST(g AS text)) AS filling FROM generate_series(1, 15000) AS g"
    await conn.exec_driver_sql(f"CREATE TEMPORARY TABLE space_proof ON COMMIT DROP AS {text}")


async def workers_seen(conn: AsyncConnection) -> dict[str, WorkerSeen]:
    """Every worker that any process has run within a day, by its name. One query over a handful of rows.

    A name that is missing, or whose `is_present` is False, belongs to a worker that no process runs now.
    """
    columns = (worker_heartbeats.c.worker, worker_heartbeats.c.seen_at, worker_heartbeats.c.busy_seconds)
    rows = (await conn.execute(sa.select(*columns, sa.type_coerce(db_now(), UtcDateTime()).label("now")))).all()
    found: dict[str, list[tuple[float, int]]] = {}
    for row in rows:
        age = max(0.0, (row.now - row.seen_at).total_seconds())
        found.setdefault(row.worker, []).append((age, row.busy_seconds))
    return {worker: _seen(worker, beats) for worker, beats in found.items()}


def _seen(worker: str, beats: Sequence[tuple[float, int]]) -> WorkerSeen:
    present = [busy for age, busy in beats if age <= PRESENT_SECONDS]
    newest = min(age for age, _ in beats)
    return WorkerSeen(worker, len(present), newest, min(present, default=0))


async def replica_lag(database: Database) -> float:
    """Seconds by which the newest heartbeat on the replica is older than on the primary. Raises what the databases raise."""
    newest = sa.select(sa.func.max(worker_heartbeats.c.seen_at, type_=UtcDateTime()))
    here, there = await database.ask_both(newest)
    if here is None:
        return 0.0
    return PRESENT_SECONDS if there is None else max(0.0, (here - there).total_seconds())


async def forget(conn: AsyncConnection, process: str) -> None:
    """Remove the heartbeats of a process that stops in order, and what processes that did not left behind a day ago."""
    old = worker_heartbeats.c.seen_at < db_now(-KEPT.total_seconds())
    await conn.execute(sa.delete(worker_heartbeats).where(sa.or_(worker_heartbeats.c.process == process, old)))
