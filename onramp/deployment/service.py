"""The operations of the deployment: read it once, and keep what the poller found out about others."""

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
    """Who sells from this database.

    `unmarked_until`: sessions that Stripe made up to then may carry no deployment id, as the version that sold them did not write
    it; None where this database never sold such a session.
    """

    id: str
    created_at: datetime
    unmarked_until: datetime | None


class OwnDeployment:
    """This database's deployment, read once and remembered: it does not change while a process runs."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        """Nothing is read before the first `get`."""
        self._database = database
        self._clock = clock
        self._ids = ids
        self._known: Deployment | None = None

    async def get(self) -> Deployment:
        """Return the deployment; a database that lost its row gets a new id, so that nothing sold under the old one is paid."""
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
    """Return the stored deployment, or None where the table is empty."""
    c = deployments.c
    row = (await conn.execute(sa.select(c.id, c.created_at, c.unmarked_until))).one_or_none()
    return None if row is None else Deployment(row.id, row.created_at, row.unmarked_until)


async def unknown_purchases(conn: AsyncConnection) -> int:
    """Return how many completed purchases at Stripe may be this deployment's and are missing here, as last counted."""
    return (await conn.scalar(sa.select(deployments.c.unknown_purchases))) or 0


async def set_unknown_purchases(conn: AsyncConnection, count: int) -> None:
    """Keep the number for readiness, which another process may answer."""
    await conn.execute(sa.update(deployments).values(unknown_purchases=count))
