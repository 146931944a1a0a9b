"""Copy the treasury's rows and put the database back to a copy, as a restore of a backup does; on SQLite and on Postgres."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from kit.db.database import metadata
from tests.support.treasury_world import TreasuryWorld

Snapshot = Mapping[str, Sequence[Mapping[str, Any]]]
"""The rows of each table of the treasury."""


def _tables() -> list[sa.Table]:
    return [table for table in metadata.sorted_tables if table.name.startswith("treasury_")]


async def snapshot(world: TreasuryWorld) -> Snapshot:
    """Return a copy of all rows of the treasury."""
    async with world.database.read() as conn:
        return {
            table.name: [dict(row) for row in (await conn.execute(sa.select(table))).mappings()] for table in _tables()
        }


async def restore(world: TreasuryWorld, copy: Snapshot) -> None:
    """Put the treasury's tables back to a copy."""
    await world.tear_out_the_ledger()
    async with world.database.write() as conn:
        for table in reversed(_tables()):
            if table.name != "treasury_ledger":
                await conn.execute(sa.delete(table))
        for table in _tables():
            if rows := copy.get(table.name):
                await conn.execute(sa.insert(table), list(rows))
