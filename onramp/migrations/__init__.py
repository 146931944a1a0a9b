"""The migrations of the database, the same for SQLite and Postgres.

A migration works with the version of the service that is still running: it adds first, fills in batches, and removes in a later
release. Each declares by COMPATIBLE_SINCE which versions can use the database after it, see `onramp.migrations.compatibility`.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

import onramp.migrations.tables  # noqa: F401 - registers every table in the shared metadata
from kit.db.database import Database, is_unavailable, reason_of
from onramp.migrations.compatibility import Fit, Schema, declare, declared, judge
from onramp.migrations.exclusive import TABLE_WAIT_SECONDS, WAIT_SECONDS, MigrationError, exclusive, is_lock_timeout

if TYPE_CHECKING:
    # Imported only where a migration runs, which is not at every start.
    from alembic.config import Config

__all__ = ["OURS", "History", "MigrationError", "Schema", "current", "ensure", "look", "upgrade"]

_HOME: Final = Path(__file__).parent
_MISFIT: Final = ("already exists", "duplicate column", "no such", "does not exist")
"""Parts of both databases' error texts if the tables do not match the revision that the database names."""


class History:
    """The migrations in one folder."""

    def __init__(self, folder: Path = _HOME / "versions") -> None:
        """Use the migrations in `folder`, which holds a file `NNNN_name.py` for each revision."""
        self.folder = folder

    def revisions(self) -> list[str]:
        """List all revisions, oldest first."""
        return sorted(path.name[:4] for path in self.folder.glob("[0-9]*.py"))

    def newest(self) -> str:
        """Return the revision that the code is written for."""
        return self.revisions()[-1]

    def config(self) -> "Config":
        """Configure Alembic from code: there is no ini file to be found or lost."""
        from alembic.config import Config

        made = Config(stdout=io.StringIO())
        # Alembic reads these values with %-interpolation and splits them at the system's path separator.
        made.set_main_option("path_separator", "os")
        made.set_main_option("script_location", str(_HOME).replace("%", "%%"))
        made.set_main_option("version_locations", str(self.folder).replace("%", "%%"))
        return made

    def compatible_since(self) -> str:
        """Return the newest declaration: the oldest revision whose code can use a database that has all of these migrations."""
        from alembic.script import ScriptDirectory

        scripts = ScriptDirectory.from_config(self.config()).walk_revisions()
        # A migration that declares nothing counts as incompatible with all code before it.
        return max(str(getattr(script.module, "COMPATIBLE_SINCE", script.revision)) for script in scripts)


OURS: Final = History()


def newest() -> str:
    """Return the revision that this code is written for."""
    return OURS.newest()


def config() -> "Config":
    """Configure Alembic for this code's migrations."""
    return OURS.config()


async def current(database: Database) -> str | None:
    """Return the revision that the database has; None for an empty one."""
    async with database.read() as connection:
        return await _revision(connection)


async def _revision(connection: AsyncConnection) -> str | None:
    if not await connection.run_sync(lambda sync: sa.inspect(sync).has_table("alembic_version")):
        return None
    found = await connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


async def look(database: Database, history: History = OURS) -> Schema:
    """Return the state of the database's schema compared with the code. Writes nothing."""
    async with database.read() as connection:
        return await _look(connection, history)


async def _look(connection: AsyncConnection, history: History) -> Schema:
    known, found = history.revisions(), await _revision(connection)
    since = await declared(connection) if found is not None and found not in known else None
    return judge(found, since, known)


async def upgrade(
    database: Database, history: History = OURS, *, seconds: float = WAIT_SECONDS
) -> tuple[str | None, str]:
    """Bring the database to the newest revision, all or nothing; return the revisions before and after.

    Safe to run from several places at once: one migrates, the others wait up to `seconds` and find nothing to do. A database that is
    newer than the code and still usable by it is left as it is. Raises MigrationError.
    """
    schema = await look(database, history)
    if schema.fit is Fit.OLDER:
        async with exclusive(database, seconds=seconds) as connection:
            schema = await _look(connection, history)
            if schema.fit is Fit.OLDER:
                try:
                    await connection.run_sync(_run, history)
                except DBAPIError as error:
                    if is_unavailable(error) and not is_lock_timeout(error):
                        raise  # the database itself cannot be used; callers report that
                    raise _stopped(error, database, schema) from error
                return schema.found, schema.wanted
    if not schema.is_usable:
        raise MigrationError(f"{schema} Nothing was changed.")
    return schema.found, str(schema.found)


def _run(connection: sa.Connection, history: History) -> None:
    from alembic import command

    made = history.config()
    made.attributes["connection"] = connection
    command.upgrade(made, "head")
    declare(connection, history.compatible_since())


def _stopped(error: DBAPIError, database: Database, schema: Schema) -> MigrationError:
    reason = reason_of(error)
    if is_lock_timeout(error):
        return MigrationError(
            f"The migration waited {TABLE_WAIT_SECONDS:.0f} s for a table that another transaction holds, and gave up. Nothing was "
            "changed: find that transaction in pg_stat_activity, or wait until it has ended, then run `onramp migrate` again."
        )
    text = f"The migration from {schema.found or 'an empty database'} to {schema.wanted} failed: {reason}. Nothing was changed."
    if any(part in reason for part in _MISFIT):
        text += f" The tables are not those of {schema.found or 'an empty database'}: "
        if database.dialect == "sqlite":
            text += (
                "an earlier version of onramp was interrupted while it migrated this file, or the file is another program's. Move the "
                f"file {database.engine.url.database} and its -wal and -shm away, or restore a backup, then run `onramp migrate` again."
            )
        else:
            text += "DATABASE_URL names a database or schema that something else has changed. Restore a backup, or name an empty one."
    return MigrationError(text)


async def ensure(database: Database, *, is_production: bool) -> Schema:
    """Make sure that this code can use the database: development migrates it, in production that is a step of the deployment.

    Return the schema's state. Raises MigrationError.
    """
    if not is_production:
        await upgrade(database)
    schema = await look(database)
    if not schema.is_usable:
        raise MigrationError(f"{schema} Nothing was changed.")
    return schema
