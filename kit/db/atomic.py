"""Several statements, each for many rows, in one transaction on the driver itself.

SQLAlchemy's overhead for one statement is as much as running it for two hundred rows (measured: a block of transfers).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from kit.db.database import Database


class Change(NamedTuple):
    """A statement as the driver takes it, and how many rows it must change; `kit.db.bulk` writes them."""

    text: str
    given: Any
    """The rows, on SQLite; all of them in one text of JSON, on Postgres, where the statement returns what it changed."""
    rows: int | None
    """None: any number."""


class _FewerError(Exception):
    """A row was not as expected."""


async def execute_atomically(database: Database, changes: Sequence[Change]) -> bool:
    """Make all changes and commit; False, and nothing changed, where one of them met a row that is not as expected."""

    async def sqlite(driver: Any) -> None:
        await driver.execute("BEGIN IMMEDIATE")
        try:
            for change in changes:
                _check(change, (await driver.executemany(change.text, change.given)).rowcount)
            await driver.commit()
        except BaseException:
            await driver.rollback()
            raise

    async def postgresql(driver: Any) -> None:
        async with driver.transaction():
            for change in changes:
                _check(change, len(await driver.fetch(change.text, change.given)))

    try:
        await database.on_driver(sqlite if database.dialect == "sqlite" else postgresql)
    except _FewerError:
        return False
    return True


def _check(change: Change, changed: int) -> None:
    if change.rows not in {None, changed}:
        raise _FewerError
