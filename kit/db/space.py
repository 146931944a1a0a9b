"""Prove that the database's disk has space left: on a full disk, reads and small changes of rows still succeed."""

import asyncio
import tempfile
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from kit.db.database import Database

_ROWS: Final = 30_000
"""As a temporary file of Postgres they take 400 kB; writing and reading it takes 5 ms (measured)."""
_BYTES: Final = 400_000
_IN_FILES: Final = sa.text("SELECT set_config('work_mem', '64kB', true), set_config('temp_tablespaces', '', true)")
_SPILL: Final = sa.select(sa.func.count()).select_from(sa.func.generate_series(1, _ROWS))


async def prove_space(database: Database) -> None:
    """Allocate half a megabyte on the database's disk, and give it back. Raises the database's error, or OSError, if there is no space.

    Postgres is made to write a temporary file: that needs no right, changes no table and writes no WAL. SQLite's disk is this machine's.
    """
    if database.dialect == "postgresql":
        async with database.write() as conn:
            await conn.execute(_IN_FILES)
            await conn.execute(_SPILL)
    elif database.file is not None:
        await asyncio.to_thread(_allocate, database.file)


def _allocate(beside: Path) -> None:
    with tempfile.TemporaryFile(dir=beside.parent) as file:
        file.write(bytes(_BYTES))
