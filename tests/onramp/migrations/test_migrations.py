"""A migration runs once and completely, however many processes start it and wherever it is interrupted."""

import asyncio
import multiprocessing
import os
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from kit.db.database import Database, connect, metadata
from kit.db.drivers import SQLITE_BUSY_MS
from onramp import migrations
from onramp.dev.chain.anvil import free_port
from onramp.migrations import MigrationError
from onramp.migrations.exclusive import exclusive
from tests.support.command_line import run_onramp, start_onramp
from tests.support.next_release import ADDS, NEXT, next_history

pytestmark = pytest.mark.starts_first

_FORKS = multiprocessing.get_context("forkserver")
CHANGES = ("CREATE", "ALTER", "DROP")


class Stopped(Exception):
    """Raised in the middle of a migration."""


def _at_change(database: Database, number: int, act: Any) -> None:
    """Call `act` before the `number`-th statement that changes the schema."""
    seen = 0

    @sa.event.listens_for(database.engine.sync_engine, "before_cursor_execute")
    def look(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal seen
        if statement.strip().startswith(CHANGES):
            seen += 1
            if seen == number:
                act()


def _stop() -> None:
    raise Stopped


def _migrate_and_die(url: str, number: int) -> None:
    async def migrate() -> None:
        database = connect(url)
        _at_change(database, number, lambda: os.kill(os.getpid(), signal.SIGKILL))
        await migrations.upgrade(database)

    asyncio.run(migrate())


async def _tables(database: Database) -> set[str]:
    async with database.read() as conn:
        return set(await conn.run_sync(lambda sync: sa.inspect(sync).get_table_names()))


async def _assert_complete(database: Database) -> None:
    assert await migrations.current(database) == migrations.newest()
    async with database.read() as conn:
        differences = await conn.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync, opts={"compare_type": True}), metadata)
        )
        assert await conn.scalar(sa.text("SELECT count(*) FROM schema_compatibility")) == 1
    assert differences == []


def test_many_processes_migrate_a_new_database_once(empty_url: str) -> None:
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": empty_url}
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: run_onramp(environment, "migrate"), range(6)))
    assert [one.returncode for one in done] == [0] * 6, [one.stderr for one in done]
    newest = migrations.newest()
    assert sorted(one.stdout for one in done) == [
        *[f"The database is at {newest}.\n"] * 5,
        f"The database was migrated from empty to {newest}.\n",
    ]


async def test_many_tasks_of_one_process_migrate_a_new_database_once(empty_url: str) -> None:
    databases = [connect(empty_url) for _ in range(4)]
    done = await asyncio.gather(*(migrations.upgrade(one) for one in databases))
    assert sorted(before or "" for before, _ in done) == ["", *[migrations.newest()] * 3]
    await _assert_complete(databases[0])
    for one in databases:
        await one.close()


@pytest.mark.parametrize("number", [1, 2, 30, 60])
async def test_a_migration_that_fails_midway_leaves_nothing_behind(empty_url: str, number: int) -> None:
    broken, database = connect(empty_url), connect(empty_url)
    _at_change(broken, number, _stop)
    with pytest.raises(Stopped):
        await migrations.upgrade(broken)
    assert await _tables(database) == set()
    assert await migrations.upgrade(broken) == (None, migrations.newest())
    await _assert_complete(database)
    await broken.close()
    await database.close()


@pytest.mark.parametrize("number", [1, 17, 40, 60])
async def test_a_migration_that_is_killed_midway_leaves_nothing_behind(empty_url: str, number: int) -> None:
    child = _FORKS.Process(target=_migrate_and_die, args=(empty_url, number), daemon=True)
    child.start()
    await asyncio.to_thread(child.join, 60)
    assert child.exitcode == -signal.SIGKILL
    database = connect(empty_url)
    assert await _tables(database) == set()
    assert await migrations.upgrade(database) == (None, migrations.newest())
    await _assert_complete(database)
    await database.close()


async def test_a_migration_waits_for_another_and_says_when_it_gives_up(empty_url: str) -> None:
    database, other = connect(empty_url), connect(empty_url)
    async with exclusive(other):
        with pytest.raises(
            MigrationError,
            match=r"Another process has been migrating or locking the database for 1 s\. Nothing was changed",
        ):
            await migrations.upgrade(database, seconds=1)
        waiting = asyncio.create_task(migrations.upgrade(database))
        await asyncio.sleep(0)
        assert await _tables(other) == set()
    assert await waiting == (None, migrations.newest())
    await _assert_complete(database)
    async with database.write() as conn:  # the same connection is as patient as it was
        if database.dialect == "sqlite":
            assert (await conn.exec_driver_sql("PRAGMA busy_timeout")).scalar_one() == SQLITE_BUSY_MS
    await database.close()
    await other.close()


async def test_a_table_that_is_in_use_is_not_waited_for_for_long(postgres_url: str, tmp_path: Path) -> None:
    database, other = connect(postgres_url), connect(postgres_url)
    following = next_history(tmp_path, ADDS, migrations.newest())
    async with other.write() as conn:
        await conn.execute(sa.text("LOCK TABLE treasury_payouts IN SHARE MODE"))
        with pytest.raises(MigrationError, match=r"a table that another transaction holds.*Nothing was changed"):
            await migrations.upgrade(database, following)
    assert (await migrations.look(database)).found == migrations.newest()
    async with database.read() as conn:
        columns = await conn.run_sync(lambda sync: sa.inspect(sync).get_columns("sessions"))
    assert "gift_note" not in {column["name"] for column in columns}
    assert await migrations.upgrade(database, following) == (migrations.newest(), NEXT)
    await database.close()
    await other.close()


PARTS = (
    "CREATE TABLE chain_cursors (id VARCHAR)",
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL); CREATE TABLE sessions (id VARCHAR)",
)


@pytest.mark.parametrize("statements", PARTS)
def test_a_file_that_an_interrupted_earlier_version_left_is_named_with_what_to_do(
    tmp_path: Path, statements: str
) -> None:
    path = tmp_path / "broken.db"
    with sqlite3.connect(path) as conn:
        conn.executescript(statements)
    conn.close()
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite+aiosqlite:///{path}"}
    for command in (("migrate",), ("sessions", "list"), ("work", "--only", "audit")):
        refused = run_onramp(environment | {"LOG_LEVEL": "error"}, *command)
        assert refused.returncode == 1
        line = refused.stderr.strip()
        assert (
            "already exists. Nothing was changed. The tables are not those of an empty database: an earlier version"
            in line
        )
        assert f"Move the file {path} and its -wal and -shm away" in line and "DATABASE_URL" not in line


def test_a_serving_and_a_working_process_start_together_on_a_new_database(empty_url: str, tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"], "DATABASE_URL": empty_url, "PORT": str(free_port()), "LOG_FORMAT": "json",
        "MEZO_RPC_URLS": "a=http://127.0.0.1:9,b=http://127.0.0.1:19",
    }  # fmt: skip
    events = {("serve", "--no-workers"): '"serving"', ("work", "--only", "audit"): '"working"', ("work", "--only", "janitor"): '"working"'}  # fmt: skip
    processes = []
    for number, arguments in enumerate(events):
        processes.append(start_onramp(environment, *arguments, log=tmp_path / f"{number}.log"))
    try:
        until = time.monotonic() + 90
        for number, (process, sign) in enumerate(zip(processes, events.values(), strict=True)):
            while sign not in (written := (tmp_path / f"{number}.log").read_text()):
                assert process.poll() is None and time.monotonic() < until, written
                time.sleep(0.1)
    finally:
        for process in processes:
            process.terminate()
        assert [process.wait(30) for process in processes] == [0, 0, 0]
