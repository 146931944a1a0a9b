"""A single statement as its own transaction: durable, and its connection is returned even if the caller is cancelled."""

import asyncio

import pytest

from kit.db.database import Database
from tests.support.login_nonces import checked_out, count

INSERT = {
    "postgresql": "INSERT INTO login_nonces (id, address, origin, expires_at) VALUES ($1, 'a', 'o', now()) RETURNING id",
    "sqlite": "INSERT INTO login_nonces (id, address, origin, expires_at) VALUES (?, 'a', 'o', '') RETURNING id",
}
SLOW = {
    "postgresql": "SELECT count(pg_sleep(0.2)) FROM generate_series(1, $1::int)",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n",
}


async def test_a_statement_is_durable_when_it_returns_and_leaves_nothing_if_refused(database: Database) -> None:
    text = INSERT[database.dialect]
    assert [row[0] for row in await database.autocommit(text, "one")] == ["one"]
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await database.autocommit(text, "one")
    assert [row[0] for row in await database.autocommit(text, "two")] == ["two"]
    assert (await count(database), checked_out(database)) == (2, 0)


async def test_a_cancelled_caller_returns_its_connection(database: Database) -> None:
    tasks = [asyncio.create_task(database.autocommit(SLOW[database.dialect], 1)) for _ in range(8)]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    assert {type(end) for end in await asyncio.gather(*tasks, return_exceptions=True)} <= {asyncio.CancelledError, list}
    async with asyncio.timeout(60):
        while checked_out(database):
            await asyncio.sleep(0.05)
    assert await database.autocommit(INSERT[database.dialect], "after") and await count(database) == 1
