"""The ways a row may change, on both databases."""

import asyncio

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from kit.db import leases
from kit.db.bulk import change_where
from kit.db.cas import compare_and_set
from kit.db.database import Database, connect, metadata
from kit.db.inserts import insert_or_ignore
from kit.db.types import in_array
from onramp import migrations
from onramp.webhooks.table import inbox


def _row(number: int) -> dict[str, object]:
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    return {
        "id": f"evt_{number}", "type": "t", "stripe_session_id": "cos_1", "session_status": None, "body_sha256": "0" * 64,
        "created_at": now, "received_at": now, "state": "pending", "reason": None, "due_at": now,
    }  # fmt: skip


async def test_the_migrations_make_the_tables_that_the_code_describes(database: Database) -> None:
    async with database.read() as conn:
        options = {"compare_type": True}
        differences = await conn.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync, opts=options), metadata)
        )
    assert differences == []


def test_the_history_is_one_line_and_the_last_file_is_its_head() -> None:
    script = ScriptDirectory.from_config(migrations.config())
    assert script.get_heads() == [migrations.newest()]


async def test_migrating_again_and_from_several_places_changes_nothing(database: Database) -> None:
    results = await asyncio.gather(*(migrations.upgrade(database) for _ in range(4)))
    assert {after for _, after in results} == {migrations.newest()}


async def test_one_of_many_compare_and_sets_wins(database: Database) -> None:
    async with database.write() as conn:
        await insert_or_ignore(conn, inbox, [_row(1)], ["id"])

    async def change(number: int) -> bool:
        async with database.write() as conn:
            return await compare_and_set(
                conn, inbox, "evt_1", ["pending"], column="state", state="handled", reason=str(number)
            )

    assert sum(await asyncio.gather(*(change(number) for number in range(20)))) == 1


async def test_of_many_rows_only_those_still_in_their_state_are_changed_each_to_its_own_values(
    database: Database,
) -> None:
    async with database.write() as conn:
        await insert_or_ignore(conn, inbox, [_row(number) for number in range(3)], ["id"])
        await compare_and_set(conn, inbox, "evt_1", ["pending"], column="state", state="handled")
        later = _row(0)["due_at"]
        news = [
            {"id": f"evt_{number}", "state": "ignored", "reason": f"it's {number}" if number else None, "due_at": later}
            for number in range(4)
        ]
        assert await change_where(conn, inbox, news, "state", "pending") == {"evt_0", "evt_2"}
        found = (await conn.execute(sa.select(inbox).order_by(inbox.c.id))).fetchall()
    assert [(row.state, row.reason) for row in found] == [("ignored", None), ("handled", None), ("ignored", "it's 2")]
    assert [row.due_at == later for row in found] == [True, False, True]


async def test_a_few_of_many_rows_are_changed_without_reading_the_others(postgres_url: str) -> None:
    database = connect(postgres_url)
    read = sa.text("SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'webhook_events'")
    async with database.write() as conn:
        await insert_or_ignore(conn, inbox, [_row(number) for number in range(5_000)], ["id"])
        await conn.execute(sa.text("ANALYZE webhook_events"))
    async with database.write() as conn:
        news = [{"id": f"evt_{number}", "state": "ignored"} for number in range(7)]
        assert len(await change_where(conn, inbox, news, "state", "pending")) == 7
        assert (await conn.execute(read)).scalar_one() == 0
    await database.close()


async def test_rows_among_any_number_of_texts_are_found_by_one_statement(database: Database) -> None:
    query = sa.select(inbox.c.id).where(in_array(inbox.c.id, "ids")).order_by(inbox.c.id)
    others = sa.select(inbox.c.id).where(sa.not_(in_array(inbox.c.id, "ids")), inbox.c.state == "pending")
    async with database.write() as conn:
        await insert_or_ignore(conn, inbox, [_row(number) for number in range(3)], ["id"])
        for ids in ([], ["evt_2", "evt_0", "evt_9"], ["evt_1', '"]):
            found = (await conn.execute(query, {"ids": ids})).scalars().all()
            assert found == [one for one in ("evt_0", "evt_2") if one in ids]
            assert set((await conn.execute(others, {"ids": ids})).scalars()) == {
                "evt_0", "evt_1", "evt_2"
            } - set(ids)  # fmt: skip


async def test_each_due_row_is_claimed_once(database: Database) -> None:
    async with database.write() as conn:
        await insert_or_ignore(conn, inbox, [_row(number) for number in range(100)], ["id"])

    async def work(owner: str) -> list[str]:
        taken: list[str] = []
        while True:
            async with database.write() as conn:
                rows = await leases.claim(
                    conn,
                    inbox,
                    owner=owner,
                    seconds=60,
                    limit=7,
                    due=inbox.c.state == "pending",
                    order_by=inbox.c.id,
                )
            if not rows:
                return taken
            taken += [row.id for row in rows]

    taken = [item for part in await asyncio.gather(*(work(f"w{number}") for number in range(6))) for item in part]
    assert sorted(taken) == sorted(f"evt_{number}" for number in range(100))


async def test_a_lapsed_lease_is_handed_on_and_its_old_holder_can_write_nothing(database: Database) -> None:
    async with database.write() as conn:
        await insert_or_ignore(conn, inbox, [_row(1)], ["id"])
    for owner, seconds in (("frozen", -1), ("next", 60)):
        async with database.write() as conn:
            rows = await leases.claim(
                conn, inbox, owner=owner, seconds=seconds, limit=1, due=sa.true(), order_by=inbox.c.id
            )
            assert [row.id for row in rows] == ["evt_1"]
    async with database.write() as conn:
        assert not await leases.release(conn, inbox, "evt_1", "frozen", state="handled")
        assert await leases.release(conn, inbox, "evt_1", "next", state="handled")


async def test_a_row_that_exists_is_neither_inserted_nor_an_error(database: Database) -> None:
    async with database.write() as conn:
        assert await insert_or_ignore(conn, inbox, [_row(1)], ["id"]) == ["evt_1"]
    async with database.write() as conn:
        assert sorted(await insert_or_ignore(conn, inbox, [_row(1), _row(2)], ["id"])) == ["evt_2"]
