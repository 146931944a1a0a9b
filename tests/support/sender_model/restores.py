"""Declared restores in the real database, read and written as rows: the table belongs to a part that a sender may not have."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import metadata
from tests.support.hot_wallet import HOT_WALLET
from tests.support.sender_model.rules import ALL, UNPROTECTED
from tests.support.treasury_world import TreasuryWorld

_TABLE = metadata.tables.get("treasury_restores")
GUARDS = UNPROTECTED if _TABLE is None else ALL
"""The guards that the sender has."""


async def open_restore(conn: AsyncConnection) -> sa.Row[Any] | None:
    """Return the row of the unfinished restore, or None."""
    if _TABLE is None:
        return None
    return (await conn.execute(sa.select(_TABLE).where(_TABLE.c.done_at.is_(None)))).first()


async def declare_restore(world: TreasuryWorld, depth: int) -> None:
    """Declare a restore, as a person does. No other one is open."""
    assert _TABLE is not None
    values = {
        **HOT_WALLET.columns,
        "id": world.ids.new("rst_"),
        "depth": depth,
        "source": "declared",
        "declared_by": "key_anna",
        "note": "a test",
        "declared_at": world.clock.now(),
    }
    async with world.database.write() as conn:
        await conn.execute(sa.insert(_TABLE).values(values))
