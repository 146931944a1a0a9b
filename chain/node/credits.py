"""The monthly credits of each node, counted by all processes together and kept over restarts."""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from chain.node.node import Node
from kit.db.database import Database, metadata
from kit.db.inserts import insert_or_ignore

SAVE_SECONDS: Final = 15.0

chain_credits = sa.Table(
    "chain_credits",
    metadata,
    sa.Column("id", sa.String(96), primary_key=True, comment="month and name of the node"),
    sa.Column("used", sa.BigInteger(), nullable=False),
)


async def save(database: Database, nodes: Sequence[Node]) -> None:
    """Add the credits that this process used since the last save, and read the total of all processes.

    Raises the database's error if that fails; the unsaved credits are kept for the next save.
    """
    saved = []
    async with database.write() as conn:
        for node in nodes:
            month, spent = node.budget.unsaved
            key = f"{month} {node.name}"
            if spent and not await insert_or_ignore(conn, chain_credits, [{"id": key, "used": spent}], ["id"]):
                await conn.execute(
                    sa.update(chain_credits).where(chain_credits.c.id == key).values(used=chain_credits.c.used + spent)
                )
            used = await conn.scalar(sa.select(chain_credits.c.used).where(chain_credits.c.id == key))
            saved.append((node.budget, month, spent, int(used or 0)))
    for budget, month, spent, used in saved:
        budget.saved(month, spent, used)
