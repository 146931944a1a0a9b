"""One leading process for each hot wallet: a lease with a fencing token that every write repeats.

Each transaction of the leader begins with an update of the lease row that names owner and token. The update fails if another process
took over. If it succeeds, the row stays locked until the commit (on SQLite the whole database is), so no process can take over in between.
A leader that was suspended for an hour can therefore write nothing.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import Database, metadata
from kit.db.inserts import insert_or_ignore
from kit.db.types import UtcDateTime, db_now
from treasury.core.hot_wallets import HotWallet

leaders = sa.Table(
    "treasury_leaders",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(64)),
    sa.Column("token", sa.BigInteger(), nullable=False),
    sa.Column("lease_until", UtcDateTime()),
    sa.Column("explained_block", sa.BigInteger()),
    sa.Column("pipeline_depth", sa.Integer(), comment="the deepest pipeline that any leader was configured with"),
)


async def lock_leader(conn: AsyncConnection, wallet: HotWallet) -> None:
    """Keep the wallet's leader from writing until the caller's transaction ends; afterwards it goes on as before."""
    await conn.execute(sa.update(leaders).where(leaders.c.id == wallet.key).values(token=leaders.c.token))


async def is_led(conn: AsyncConnection, wallet: HotWallet) -> bool:
    """Return whether a process leads the wallet now, by the database's clock."""
    query = sa.select(sa.literal(1)).where(leaders.c.id == wallet.key, leaders.c.lease_until > db_now())
    return await conn.scalar(query) is not None


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease of a wallet as it is stored: its owner, its end, and whether it is valid now by the database's clock."""

    owner: str | None
    until: datetime | None
    is_valid: bool


async def lease_of(conn: AsyncConnection, wallet: HotWallet) -> Lease:
    """Return the lease of the wallet. One that no process ever led has no owner."""
    is_valid = sa.and_(leaders.c.lease_until.is_not(None), leaders.c.lease_until > db_now())
    query = sa.select(leaders.c.owner, leaders.c.lease_until, is_valid.label("is_valid"))
    row = (await conn.execute(query.where(leaders.c.id == wallet.key))).first()
    return Lease(None, None, is_valid=False) if row is None else Lease(row.owner, row.lease_until, bool(row.is_valid))


async def fence(conn: AsyncConnection, wallet: HotWallet) -> None:
    """End the lease of whichever process leads the wallet, which then can no longer write what it has begun."""
    values = {"token": leaders.c.token + 1, "owner": None, "lease_until": None}
    await conn.execute(sa.update(leaders).where(leaders.c.id == wallet.key).values(values))


async def explain_from_first_block(conn: AsyncConnection, wallet: HotWallet) -> None:
    """Make the next leader search the whole chain for the wallet's transactions, because the database knows none of them."""
    await insert_or_ignore(conn, leaders, [{"id": wallet.key, "token": 0}], ["id"])
    unknown = sa.and_(leaders.c.id == wallet.key, leaders.c.explained_block.is_(None))
    await conn.execute(sa.update(leaders).where(unknown).values(explained_block=0))


async def deepest_pipeline(conn: AsyncConnection, wallet: HotWallet) -> int:
    """Return the most transactions in flight that any leader of the wallet was configured for; 1 if none is recorded."""
    query = sa.select(leaders.c.pipeline_depth).where(leaders.c.id == wallet.key)
    return (await conn.execute(query)).scalar_one_or_none() or 1


class LeadershipLost(Exception):
    """This process does not lead the wallet any more. Nothing was written."""


class Leader:
    """The lease of one wallet on one chain, as one process holds it."""

    def __init__(
        self, database: Database, wallet: HotWallet, *, owner: str, seconds: float, pipeline_depth: int = 1
    ) -> None:
        """Prepare the lease without taking it. `owner` must be unique to this process.

        `seconds` is how long a leader that writes nothing keeps the others waiting. `pipeline_depth` is how many transactions this process may
        have in flight. The deepest ever is stored with the lease, because after a restore as many nonces may be taken by bytes that the
        database does not know.
        """
        self._database = database
        self._key = wallet.key
        self._owner = owner
        self._seconds = seconds
        is_deeper = sa.func.coalesce(leaders.c.pipeline_depth, 0) < pipeline_depth
        self._deepest = sa.case((is_deeper, pipeline_depth), else_=leaders.c.pipeline_depth)
        self._token: int | None = None
        self._free = sa.or_(leaders.c.lease_until.is_(None), leaders.c.lease_until < db_now())
        self._is_free = sa.select(self._free).where(leaders.c.id == self._key)
        # Built once: it begins every transaction of the leader.
        self._renew = (
            sa.update(leaders)
            .where(leaders.c.id == self._key, leaders.c.owner == owner, leaders.c.token == sa.bindparam("mine"))
            .values(lease_until=db_now(seconds))
        )

    @property
    def token(self) -> int | None:
        """The fencing token while this process leads, else None; each new leader has a greater one."""
        return self._token

    async def hold(self) -> bool:
        """Become the leader if no process leads. Return whether this process leads, as far as it knows; only `write` proves it."""
        if self._token is not None:
            return True
        # Other processes ask often, so that an orderly change of leader takes a second. They ask by a read, which locks and writes nothing.
        async with self._database.read() as conn:
            if (await conn.execute(self._is_free)).scalar() is False:
                return False
        async with self._database.write() as conn:
            await insert_or_ignore(conn, leaders, [{"id": self._key, "token": 0}], ["id"])
            token = await conn.execute(
                sa.update(leaders)
                .where(leaders.c.id == self._key, self._free)
                .values(
                    owner=self._owner,
                    token=leaders.c.token + 1,
                    lease_until=db_now(self._seconds),
                    pipeline_depth=self._deepest,
                )
                .returning(leaders.c.token)
            )
            self._token = token.scalar_one_or_none()
        return self._token is not None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection in a transaction that only the leader can commit; it renews the lease. Raises LeadershipLost."""
        async with self._database.write() as conn:
            renewed = await conn.execute(self._renew, {"mine": self._token})
            if renewed.rowcount != 1:
                self._token = None
                raise LeadershipLost
            yield conn

    async def resign(self) -> None:
        """Release the lease, so that another process can lead at once."""
        if self._token is None:
            return
        async with self._database.write() as conn:
            mine = sa.and_(leaders.c.id == self._key, leaders.c.owner == self._owner, leaders.c.token == self._token)
            await conn.execute(sa.update(leaders).where(mine).values(lease_until=None, owner=None))
        self._token = None

    async def explained_block(self, conn: AsyncConnection) -> int | None:
        """Return the newest block up to which every transaction of the wallet was explained; None before the first."""
        query = sa.select(leaders.c.explained_block).where(leaders.c.id == self._key)
        block: int | None = (await conn.execute(query)).scalar_one_or_none()
        return block

    async def set_explained_block(self, conn: AsyncConnection, block_number: int) -> None:
        """Store the block up to which every transaction of the wallet is explained; a lower one than is stored changes nothing."""
        older = sa.or_(leaders.c.explained_block.is_(None), leaders.c.explained_block < block_number)
        await conn.execute(
            sa.update(leaders).where(leaders.c.id == self._key, older).values(explained_block=block_number)
        )
