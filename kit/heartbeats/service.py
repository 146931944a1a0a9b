"""Write heartbeats, and find out from them which workers run. All ages are measured on the database's clock."""

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
"""Seconds between two heartbeats of a process."""
PRESENT_SECONDS: Final = 12.0
"""The age in seconds beyond which a worker's newest heartbeat shows that it does not run: several heartbeats in a row are missing."""
KEPT: Final = timedelta(days=1)
"""How long the rows of a process that crashed are kept."""


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """The heartbeats of one worker, over all processes that run it."""

    worker: str
    processes: int
    """How many processes run the worker now; 0 if all heartbeats are older than PRESENT_SECONDS."""
    age_seconds: float
    """The age of the newest heartbeat, in seconds."""
    busy_seconds: int
    """How many seconds the running step has lasted, in the process where it has lasted shortest; 0 if the worker waits in one of them."""

    @property
    def is_present(self) -> bool:
        """Whether any process runs this worker now."""
        return self.processes > 0


async def beat(conn: AsyncConnection, process: str, busy: Mapping[str, float]) -> datetime:
    """Write a heartbeat for each worker of `busy` (name -> seconds that its running step has lasted) and return the database's time.

    One statement; a process without workers writes nothing. Raises the database's error if it cannot write.
    """
    now = db_now()
    if not busy:
        database_time: datetime = (await conn.execute(sa.select(now))).scalar_one()
        return database_time
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


async def workers_seen(conn: AsyncConnection) -> dict[str, WorkerSeen]:
    """Return every worker that has a stored heartbeat, by name. One query over a few rows.

    No process runs a worker that is missing, or whose `is_present` is False. Heartbeats are removed by `forget`.
    """
    columns = (worker_heartbeats.c.worker, worker_heartbeats.c.seen_at, worker_heartbeats.c.busy_seconds)
    rows = (await conn.execute(sa.select(*columns, sa.type_coerce(db_now(), UtcDateTime()).label("now")))).all()
    beats_of: dict[str, list[tuple[float, int]]] = {}
    for row in rows:
        age = max(0.0, (row.now - row.seen_at).total_seconds())
        beats_of.setdefault(row.worker, []).append((age, row.busy_seconds))
    return {worker: _seen(worker, beats) for worker, beats in beats_of.items()}


def _seen(worker: str, beats: Sequence[tuple[float, int]]) -> WorkerSeen:
    present = [busy for age, busy in beats if age <= PRESENT_SECONDS]
    newest = min(age for age, _ in beats)
    return WorkerSeen(worker, len(present), newest, min(present, default=0))


async def alive_processes(conn: AsyncConnection, seconds: float) -> set[str]:
    """Return the processes with a heartbeat that is at most this number of seconds old."""
    query = sa.select(worker_heartbeats.c.process).where(worker_heartbeats.c.seen_at >= db_now(-seconds)).distinct()
    return set((await conn.execute(query)).scalars())


async def replica_lag(database: Database) -> float:
    """Return by how many seconds the newest heartbeat on the replica is older than on the primary. Raises the databases' errors.

    0 if the primary has no heartbeat; PRESENT_SECONDS if only the replica has none.
    """
    newest = sa.select(sa.func.max(worker_heartbeats.c.seen_at, type_=UtcDateTime()))
    primary, replica = await database.query_both(newest)
    if primary is None:
        return 0.0
    return PRESENT_SECONDS if replica is None else max(0.0, (primary - replica).total_seconds())


async def forget(conn: AsyncConnection, process: str) -> None:
    """Remove the heartbeats of a process that stops, and every heartbeat that is older than a day, which crashed processes left behind."""
    old = worker_heartbeats.c.seen_at < db_now(-KEPT.total_seconds())
    await conn.execute(sa.delete(worker_heartbeats).where(sa.or_(worker_heartbeats.c.process == process, old)))
