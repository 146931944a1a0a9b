"""How many rows have ended in a state, without counting them: a table of finished rows grows for ever, and a count reads all of it.

Triggers, made by the migration, add a row of +1 or -1 here in the transaction that brings a row into such a state or out of it,
whichever version of the code does that. Adding a row waits for nobody, which changing one shared counter would. `fold` makes many
changes one. A future migration that copies a counted table on SQLite (`batch_alter_table`) has to make its triggers again.
"""

from collections import Counter
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import metadata

ended_counts = sa.Table(
    "ended_counts",
    metadata,
    # Postgres numbers rows of BIGINT, SQLite only of INTEGER.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("subject", sa.String(32), nullable=False, comment="which rows: sessions, deliveries, payouts"),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("change", sa.BigInteger(), nullable=False, comment="how many more are in this state"),
)
FOLD_FROM: Final = 200
"""Changes that are worth a transaction to fold them."""
_FOLD_MOST: Final = 5_000
_OF: Final = (
    sa.select(ended_counts.c.status, sa.func.sum(ended_counts.c.change))
    .where(ended_counts.c.subject == sa.bindparam("subject"))
    .group_by(ended_counts.c.status)
)


async def ended(conn: AsyncConnection, subject: str) -> dict[str, int]:
    """Return how many rows of `subject` are in each state that is counted; a state that was never reached is left out."""
    found = await conn.execute(_OF, {"subject": subject})
    return {row[0]: int(row[1]) for row in found}


async def changes(conn: AsyncConnection) -> int:
    """Return how many rows `fold` could make fewer."""
    return (await conn.execute(sa.select(sa.func.count()).select_from(ended_counts))).scalar_one()


async def fold(conn: AsyncConnection) -> int:
    """Make many changes one for each state, in the caller's transaction; several may do so at once. Return how many were folded."""
    c = ended_counts.c
    oldest: sa.Select[Any] = sa.select(c.id).order_by(c.id).limit(_FOLD_MOST)
    if conn.dialect.name == "postgresql":
        oldest = oldest.with_for_update(skip_locked=True)
    gone = sa.delete(ended_counts).where(c.id.in_(oldest)).returning(c.subject, c.status, c.change)
    found = (await conn.execute(gone)).fetchall()
    totals: Counter[tuple[str, str]] = Counter()
    for subject, status, change in found:
        totals[subject, status] += change
    rows = [{"subject": key[0], "status": key[1], "change": change} for key, change in totals.items() if change]
    if rows:
        await conn.execute(sa.insert(ended_counts), rows)
    return len(found)
