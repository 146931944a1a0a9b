"""Several bulk writes in one transaction: all or none, even if the caller is cancelled."""

import asyncio

import pytest

from chain.reads.cursor import cursors
from kit.db.atomic import BulkWrite, execute_atomically
from kit.db.bulk import plan_upsert
from kit.db.database import Database
from tests.support.login_nonces import NOW, checked_out, count, nonces


def cursor(database: Database, read_to: int) -> BulkWrite:
    row = {"id": "1", "read_to": read_to, "head": read_to, "updated_at": NOW}
    return plan_upsert(cursors, row, "read_to", database.engine.dialect)


async def test_one_unexpected_row_undoes_the_whole_transaction(database: Database) -> None:
    assert await execute_atomically(database, [nonces(database, "one", "two"), cursor(database, 5)])
    assert not await execute_atomically(database, [cursor(database, 9), nonces(database, "three", "two")])
    assert await execute_atomically(database, [cursor(database, 4), nonces(database, "four")]), (
        "what may lag behind is no obstacle"
    )
    async with database.read() as conn:
        assert (await conn.execute(cursors.select())).one().read_to == 5
    assert (await count(database), checked_out(database)) == (3, 0)


async def test_a_statement_that_fails_undoes_all_of_it(database: Database) -> None:
    wrong = BulkWrite("INSERT INTO nowhere VALUES (1)", [()] if database.dialect == "sqlite" else "[]", None)
    with pytest.raises(Exception, match="nowhere"):
        await execute_atomically(database, [nonces(database, "one"), wrong])
    assert await execute_atomically(database, [nonces(database, "one")])
    assert (await count(database), checked_out(database)) == (1, 0)


async def test_a_cancelled_caller_leaves_no_transaction_open(database: Database) -> None:
    tasks = [
        asyncio.create_task(
            execute_atomically(database, [nonces(database, *(f"{place}-{number}" for number in range(500)))])
        )
        for place in range(8)
    ]
    for task in tasks:
        await asyncio.sleep(0.002)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(60):
        while checked_out(database):
            await asyncio.sleep(0.05)
    assert await count(database) % 500 == 0
    assert await execute_atomically(database, [nonces(database, "after")])
    assert await count(database) % 500 == 1
