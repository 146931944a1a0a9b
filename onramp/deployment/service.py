"""Read the deployment's identity, and store how many unknown purchases the reconcile worker has counted."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.clock import Clock
from kit.db.database import Database
from kit.db.inserts import insert_or_ignore
from kit.ids import Ids
from onramp.deployment.table import deployments

PREFIX = "dep_"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The identity of the deployment that sells from this database.

    `unmarked_until`: sessions that Stripe created before this time may lack a deployment id, because the version that sold them did not
    write one; None if this database never sold such a session.
    """

    id: str
    created_at: datetime
    unmarked_until: datetime | None


class OwnDeployment:
    """Reads this database's deployment once and caches it: it does not change while a process runs."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._known: Deployment | None = None

    async def get(self) -> Deployment:
        """Return the deployment. A database that lost its row gets a new id, so that nothing sold under the old id is paid."""
        if self._known is None:
            async with self._database.read() as conn:
                self._known = await read(conn)
        if self._known is None:
            row = {"place": 1, "id": self._ids.new(PREFIX), "created_at": self._clock.now(), "unmarked_until": None}
            async with self._database.write() as conn:
                await insert_or_ignore(conn, deployments, [row], ["place"])
                self._known = await read(conn)
        if self._known is None:
            raise RuntimeError("the deployment id vanished while it was read")
        return self._known


async def read(conn: AsyncConnection) -> Deployment | None:
    """Return the stored deployment; None if the table is empty."""
    c = deployments.c
    row = (await conn.execute(sa.select(c.id, c.created_at, c.unmarked_until))).one_or_none()
    return None if row is None else Deployment(row.id, row.created_at, row.unmarked_until)


async def take_over(conn: AsyncConnection, deployment_id: str, *, created_at: datetime) -> None:
    """Give this database the id of a deployment whose own database is lost, so that its sessions at Stripe are this deployment's.

    `created_at` is the time back to which its sessions are searched for.
    """
    row = {"place": 1, "id": deployment_id, "created_at": created_at, "unmarked_until": None}
    if not await insert_or_ignore(conn, deployments, [row], ["place"]):
        await conn.execute(sa.update(deployments).values(id=deployment_id, created_at=created_at, unmarked_until=None))


async def unknown_purchases(conn: AsyncConnection) -> int:
    """Return how many completed purchases at Stripe may be this deployment's and are missing here, as last counted."""
    return (await conn.scalar(sa.select(deployments.c.unknown_purchases))) or 0


async def set_unknown_purchases(conn: AsyncConnection, count: int) -> None:
    """Store how many completed purchases are missing here, for the readiness check, which may run in another process."""
    await conn.execute(sa.update(deployments).values(unknown_purchases=count))
