"""Some changes as one transaction: all of them or none, whatever becomes of who asked."""

import asyncio
from datetime import UTC, datetime

import pytest

from chain.reads.cursor import cursors
from kit.db.atomic import Change, execute_atomically
from kit.db.bulk import inserting, upserting
from kit.db.database import Database
from onramp.auth.wallets.table import login_nonces
from tests.kit.test_alone import count, lent

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def nonces(database: Database, *names: str) -> Change:
    rows = [{"id": name, "address": "a", "origin": "o", "expires_at": NOW} for name in names]
    return inserting(login_nonces, rows, ["id"], database.engine.dialect)


def cursor(database: Database, read_to: int) -> Change:
    row = {"id": "1", "read_to": read_to, "head": read_to, "updated_at": NOW}
    return upserting(cursors, row, "read_to", database.engine.dialect)


async def test_one_row_that_is_not_as_expected_undoes_all_of_it(database: Database) -> None:
    assert await execute_atomically(database, [nonces(database, "one", "two"), cursor(database, 5)])
    assert not await execute_atomically(database, [cursor(database, 9), nonces(database, "three", "two")])
    assert await execute_atomically(database, [cursor(database, 4), nonces(database, "four")]), (
        "what may lag behind is no obstacle"
    )
    async with database.read() as conn:
        assert (await conn.execute(cursors.select())).one().read_to == 5
    assert (await count(database), lent(database)) == (3, 0)


async def test_a_statement_that_fails_undoes_all_of_it(database: Database) -> None:
    wrong = Change("INSERT INTO nowhere VALUES (1)", [()] if database.dialect == "sqlite" else "[]", None)
    with pytest.raises(Exception, match="nowhere"):
        await execute_atomically(database, [nonces(database, "one"), wrong])
    assert await execute_atomically(database, [nonces(database, "one")])
    assert (await count(database), lent(database)) == (1, 0)


async def test_whoever_goes_away_leaves_no_transaction_open(database: Database) -> None:
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
        while lent(database):
            await asyncio.sleep(0.05)
    assert await count(database) % 500 == 0
    assert await execute_atomically(database, [nonces(database, "after")])
    assert await count(database) % 500 == 1
