"""One statement that is its own transaction: durable, and its connection comes back whatever becomes of who asked."""

import asyncio

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from kit.db.database import Database
from onramp.auth.wallets.table import login_nonces

INSERT = {
    "postgresql": "INSERT INTO login_nonces (id, address, origin, expires_at) VALUES ($1, 'a', 'o', now()) RETURNING id",
    "sqlite": "INSERT INTO login_nonces (id, address, origin, expires_at) VALUES (?, 'a', 'o', '') RETURNING id",
}
SLOW = {
    "postgresql": "SELECT count(pg_sleep(0.2)) FROM generate_series(1, $1::int)",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n",
}


async def count(database: Database) -> int:
    async with database.read() as conn:
        return int((await conn.execute(sa.select(sa.func.count()).select_from(login_nonces))).scalar_one())


def lent(database: Database) -> int:
    pool = database.engine.sync_engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


async def test_it_is_durable_when_it_returns_and_a_refused_one_leaves_nothing(database: Database) -> None:
    text = INSERT[database.dialect]
    assert [row[0] for row in await database.alone(text, "one")] == ["one"]
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await database.alone(text, "one")
    assert [row[0] for row in await database.alone(text, "two")] == ["two"]
    assert (await count(database), lent(database)) == (2, 0)


async def test_whoever_goes_away_leaves_the_connection_behind(database: Database) -> None:
    tasks = [asyncio.create_task(database.alone(SLOW[database.dialect], 1)) for _ in range(8)]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    assert {type(end) for end in await asyncio.gather(*tasks, return_exceptions=True)} <= {asyncio.CancelledError, list}
    async with asyncio.timeout(60):
        while lent(database):
            await asyncio.sleep(0.05)
    assert await database.alone(INSERT[database.dialect], "after") and await count(database) == 1
