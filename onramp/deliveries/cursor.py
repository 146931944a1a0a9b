"""How far a chain has been read: one row a chain."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from onramp.deliveries.table import cursors

_HEAD = sa.select(cursors.c.head).where(cursors.c.id == sa.bindparam("chain"))


async def known_head(connection: AsyncConnection, chain_id: int) -> int:
    """The newest block known here; 0 before the chain was first read."""
    return int((await connection.execute(_HEAD, {"chain": str(chain_id)})).scalar_one_or_none() or 0)


async def read_to(connection: AsyncConnection, chain_id: int) -> int | None:
    """The block up to which transfers were read; None before the first reading."""
    statement = sa.select(cursors.c.read_to).where(cursors.c.id == str(chain_id))
    value = (await connection.execute(statement)).scalar_one_or_none()
    return None if value is None else int(value)


async def advance(connection: AsyncConnection, chain_id: int, *, read_to: int, head: int, now: datetime) -> None:
    """Move forward, never back; two readers do no harm."""
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(cursors)
    values = {"id": str(chain_id), "read_to": read_to, "head": head, "updated_at": now}
    moved = {name: insert.excluded[name] for name in ("read_to", "head", "updated_at")}
    await connection.execute(
        insert.on_conflict_do_update(
            index_elements=["id"], set_=moved, where=cursors.c.read_to <= insert.excluded.read_to
        ),
        values,
    )
