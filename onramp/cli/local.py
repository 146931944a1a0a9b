"""What a command does straight on this machine's database, which the environment names: as whoever holds the machine."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from onramp.cli.output import CommandError, run, settings

Result = TypeVar("Result")


def with_database(work: Callable[[Any], Awaitable[Result]], *, as_it_is: bool = False) -> Result:
    """Open the database of the environment, do `work`, close it. As for `serve` it fits this version first, unless `as_it_is`."""
    from kit.db.database import DATABASE_ERRORS, connect, reason_of
    from onramp import migrations

    loaded = settings()

    async def inner() -> Result:
        database = connect(loaded.DATABASE_URL.get_secret_value(), pooled=loaded.DATABASE_POOLER == "transaction")
        try:
            if not as_it_is:
                await migrations.ensure(database, is_production=loaded.is_production)
            return await work(database)
        finally:
            await database.close()

    try:
        return run(inner())
    except BrokenPipeError:
        raise  # of our own output, as under `head`: the database is well
    except migrations.MigrationError as error:
        raise CommandError(f"onramp: {error}") from error
    except DATABASE_ERRORS as error:
        raise CommandError(
            f"onramp: the database cannot be used: {reason_of(error)}. Is DATABASE_URL right?"
        ) from error


def reading(work: Callable[[Any], Awaitable[Result]]) -> Result:
    """Do `work` on a connection that only reads."""

    async def inner(database: Any) -> Result:
        async with database.read() as conn:
            return await work(conn)

    return with_database(inner)


def writing(work: Callable[[Any], Awaitable[Result]]) -> Result:
    """Do `work` in one transaction."""

    async def inner(database: Any) -> Result:
        async with database.write() as conn:
            return await work(conn)

    return with_database(inner)
