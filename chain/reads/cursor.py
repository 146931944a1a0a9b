"""How far each chain has been read: one row for each chain."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.atomic import BulkWrite
from kit.db.bulk import execute, plan_upsert
from kit.db.database import metadata
from kit.db.types import UtcDateTime

cursors = sa.Table(
    "chain_cursors",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True, comment="chain id, in decimal"),
    sa.Column("read_to", sa.BigInteger, nullable=False, comment="every block up to this one was read"),
    sa.Column("head", sa.BigInteger, nullable=False, comment="the newest block that enough operators had reached"),
    sa.Column("updated_at", UtcDateTime(), nullable=False),
)

HEAD = sa.select(cursors.c.head).where(cursors.c.id == sa.bindparam("chain"))
"""The newest recorded block of the chain whose decimal id is the parameter `chain`, to be selected together with other values."""


async def known_head(conn: AsyncConnection, chain_id: int) -> int:
    """Return the chain's newest block as last recorded; 0 before the chain was first read."""
    return int((await conn.execute(HEAD, {"chain": str(chain_id)})).scalar_one_or_none() or 0)


async def read_to(conn: AsyncConnection, chain_id: int) -> int | None:
    """Return the block up to which transfers were read; None before the first read."""
    statement = sa.select(cursors.c.read_to).where(cursors.c.id == str(chain_id))
    value = (await conn.execute(statement)).scalar_one_or_none()
    return None if value is None else int(value)


async def advance(conn: AsyncConnection, chain_id: int, *, read_to: int, head: int, now: datetime) -> None:
    """Record that transfers were read up to block `read_to` while the chain's head was `head`. `read_to` never goes down, so two readers do no harm."""
    await execute(conn, advance_change(chain_id, read_to=read_to, head=head, now=now, dialect=conn.dialect))


def advance_change(chain_id: int, *, read_to: int, head: int, now: datetime, dialect: Dialect) -> BulkWrite:
    """Return the change that `advance` makes, to be executed with others in one transaction."""
    row = {"id": str(chain_id), "read_to": read_to, "head": head, "updated_at": now}
    return plan_upsert(cursors, row, "read_to", dialect)
