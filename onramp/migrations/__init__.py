"""The one history of the database, run on SQLite and Postgres alike.

A migration works with the version of the service that is still running: add first, fill in batches, take away later.
"""

import asyncio
import io
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import onramp.tables  # noqa: F401 - every table joins the shared metadata
from kit.database import Database

LOCK_ID: Final = 0x6F6E72616D70
"""One advisory lock for all who migrate: the letters of `onramp`."""


def config() -> Config:
    """Alembic's configuration, from code: there is no ini file to be found or lost."""
    made = Config(stdout=io.StringIO())
    made.set_main_option("script_location", str(Path(__file__).parent))
    return made


def newest() -> str:
    """The revision that this code wants."""
    head = ScriptDirectory.from_config(config()).get_current_head()
    if head is None:
        message = "there are no migrations"
        raise RuntimeError(message)
    return head


async def current(database: Database) -> str | None:
    """The revision that the database has; None for an empty one."""
    async with database.read() as connection:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


async def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring the database to the newest revision; (before, after). Safe from several places at once: one does it, the others wait."""
    before = await current(database)
    async with database.engine.connect() as connection:
        if database.dialect == "sqlite":
            await connection.execution_options(onramp_begin="EXCLUSIVE")
        async with connection.begin():
            if database.dialect == "postgresql":
                await connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
                await connection.execute(sa.text("SET LOCAL lock_timeout = '60s'"))
                await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK_ID)))
                await connection.execute(sa.text("SET LOCAL lock_timeout = '5s'"))
            await connection.run_sync(_run)
    return before, newest()


def _run(connection: sa.Connection) -> None:
    made = config()
    made.attributes["connection"] = connection
    command.upgrade(made, "head")


async def wait_until_current(database: Database, seconds: float = 0.0) -> bool:
    """Whether the database is at the newest revision, waiting up to `seconds` for whoever brings it there."""
    for _ in range(max(1, int(seconds * 2))):
        if await current(database) == newest():
            return True
        if seconds:
            await asyncio.sleep(0.5)
    return False
