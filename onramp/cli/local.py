"""Run commands directly on the database that the environment names, without the service and without an API key."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from onramp.cli.output import CommandError, run, settings

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from kit.db.database import Database

Result = TypeVar("Result")


def with_database(work: "Callable[[Database], Awaitable[Result]]", *, skip_check: bool = False) -> Result:
    """Open the database, await `work`, close the database; return the result of `work`.

    Like `serve`, it first makes sure that the schema fits this version; `skip_check` omits that. Raises CommandError.
    """
    from kit.db.database import DATABASE_ERRORS, connect, reason_of
    from onramp import migrations
    from onramp.bootstrap.identity import connection_name

    loaded = settings()

    async def inner() -> Result:
        database = connect(
            loaded.DATABASE_URL.get_secret_value(),
            pooled=loaded.DATABASE_POOLER == "transaction",
            size=loaded.DATABASE_POOL_SIZE,
            name=connection_name("command"),
        )
        try:
            if not skip_check:
                await migrations.ensure(database, is_production=loaded.is_production)
            return await work(database)
        finally:
            await database.close()

    try:
        return run(inner())
    except BrokenPipeError:
        raise  # about our own output, for example to `head`, and not about the database
    except migrations.MigrationError as error:
        raise CommandError(f"onramp: {error}") from error
    except DATABASE_ERRORS as error:
        raise CommandError(
            f"onramp: the database cannot be used: {reason_of(error)}. Is DATABASE_URL right?"
        ) from error


def migrated() -> None:
    """Make sure that the database's schema fits this version. Raises CommandError if it does not."""

    async def nothing(_: object) -> None:
        """Do nothing: opening the database checks it."""

    with_database(nothing)


def reading(work: "Callable[[AsyncConnection], Awaitable[Result]]") -> Result:
    """Await `work` with a read-only connection; return its result."""

    async def inner(database: "Database") -> Result:
        async with database.read() as conn:
            return await work(conn)

    return with_database(inner)


def writing(work: "Callable[[AsyncConnection], Awaitable[Result]]") -> Result:
    """Await `work` in one transaction; return its result."""

    async def inner(database: "Database") -> Result:
        async with database.write() as conn:
            return await work(conn)

    return with_database(inner)
