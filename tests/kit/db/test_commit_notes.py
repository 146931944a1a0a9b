"""A fact noted in a transaction is reported once, after its commit, and never after a rollback."""

import pytest

from kit.db.commit_notes import note
from kit.db.database import Database


async def test_facts_are_reported_after_the_commit_and_dropped_by_a_rollback(database: Database) -> None:
    heard: list[object] = []
    database.subscribe(heard.append)
    async with database.write() as conn:
        note(conn, "first")
        assert heard == []
    assert heard == ["first"]
    with pytest.raises(LookupError):
        async with database.write() as conn:
            note(conn, "rolled back")
            raise LookupError
    async with database.write() as conn:
        note(conn, "second")
    async with database.read() as conn:
        note(conn, "no transaction")
    assert heard == ["first", "second"]
    database.committed(["already committed"])
    assert heard[-1] == "already committed"
