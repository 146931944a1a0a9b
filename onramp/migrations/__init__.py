"""The one history of the database, run on SQLite and Postgres alike.

A migration works with the version of the service that is still running: add first, fill in batches, take away later.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

import onramp.tables  # noqa: F401 - every table joins the shared metadata
from kit.database import Database

if TYPE_CHECKING:
    # Imported where something is to be migrated, which is not at every start.
    from alembic.config import Config

LOCK_ID: Final = 0x6F6E72616D70
"""One advisory lock for all who migrate: the letters of `onramp`."""
BEHIND: Final = "The database is behind this version. Run `onramp migrate` first; nothing was changed."


def config() -> "Config":
    """Alembic's configuration, from code: there is no ini file to be found or lost."""
    from alembic.config import Config

    made = Config(stdout=io.StringIO())
    made.set_main_option("script_location", str(Path(__file__).parent))
    return made


def newest() -> str:
    """The revision that this code wants: the last file's number."""
    return max(path.name[:4] for path in (Path(__file__).parent / "versions").glob("[0-9]*.py"))


async def current(database: Database) -> str | None:
    """The revision that the database has; None for an empty one."""
    async with database.read() as connection:
        if not await connection.run_sync(lambda sync: sa.inspect(sync).has_table("alembic_version")):
            return None
        found = await connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return None if found is None else str(found)


async def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring the database to the newest revision; (before, after). Safe from several places at once: one does it, the others wait."""
    before = await current(database)
    if before == newest():
        return before, before
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
    from alembic import command

    made = config()
    made.attributes["connection"] = connection
    command.upgrade(made, "head")


async def ready(database: Database, *, is_production: bool) -> bool:
    """Whether the database fits this version: in development it is brought there, in production that is a step of the deployment."""
    if not is_production:
        await upgrade(database)
        return True
    return await current(database) == newest()
