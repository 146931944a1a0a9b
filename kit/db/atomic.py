"""Execute several bulk writes in one transaction, directly on the driver.

SQLAlchemy's overhead for one statement is as much as running it for two hundred rows (measured with a block of token transfers).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from kit.db.database import Database


class BulkWrite(NamedTuple):
    """A statement for the driver, with the rows that it writes; `kit.db.bulk` makes them."""

    text: str
    parameters: Any
    """The rows: on SQLite a tuple of values for each; on Postgres one JSON text, and the statement then returns the rows it changed."""
    expected_rows: int | None
    """How many rows the statement must change; None if any number will do."""


class _UnexpectedRowCountError(Exception):
    """A statement changed another number of rows than expected."""


async def execute_atomically(database: Database, writes: Sequence[BulkWrite]) -> bool:
    """Execute all writes in one transaction and commit.

    Return False, and change nothing, if one changes another number of rows than expected.
    """

    async def sqlite(driver: Any) -> None:
        await driver.execute("BEGIN IMMEDIATE")
        try:
            for write in writes:
                _check(write, (await driver.executemany(write.text, write.parameters)).rowcount)
            await driver.commit()
        except BaseException:
            await driver.rollback()
            raise

    async def postgresql(driver: Any) -> None:
        async with driver.transaction():
            for write in writes:
                _check(write, len(await driver.fetch(write.text, write.parameters)))

    try:
        await database.on_driver(sqlite if database.dialect == "sqlite" else postgresql)
    except _UnexpectedRowCountError:
        return False
    return True


def _check(write: BulkWrite, changed: int) -> None:
    if write.expected_rows not in {None, changed}:
        raise _UnexpectedRowCountError
