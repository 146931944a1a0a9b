"""Writes to the table of login nonces, and the rows that result."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from kit.db.atomic import BulkWrite
from kit.db.bulk import plan_insert
from kit.db.database import Database
from onramp.auth.wallets.table import login_nonces

NOW = datetime(2026, 11, 21, tzinfo=UTC)


async def count(database: Database) -> int:
    async with database.read() as conn:
        return int((await conn.execute(sa.select(sa.func.count()).select_from(login_nonces))).scalar_one())


def checked_out(database: Database) -> int:
    pool = database.engine.sync_engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


def nonces(database: Database, *names: str) -> BulkWrite:
    rows = [{"id": name, "address": "a", "origin": "o", "expires_at": NOW} for name in names]
    return plan_insert(login_nonces, rows, ["id"], database.engine.dialect)
