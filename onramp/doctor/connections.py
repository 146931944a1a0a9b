"""The doctor's check that the database takes as many connections as all processes may open."""

from typing import Any, Final

import sqlalchemy as sa

from kit.db.database import DATABASE_ERRORS
from kit.heartbeats.service import PRESENT_SECONDS, alive_processes
from onramp.bootstrap.container import Container
from onramp.ops.health import NotWellError

_SERVER: Final = sa.text(
    "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used, least("
    " current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,"
    " (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),"
    " (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())) AS allowed"
)
"""The open connections, and how many the server allows: of its own limit, that of the role and that of the database, the smallest."""
BESIDE_THE_POOL: Final = 1
"""The connections of a process that are not in its pool: the heartbeat's own."""


async def connections(container: Container) -> str:
    """Compare the connections that the running processes may open with those that the server allows.

    Raises NotWellError if they may exceed what it allows.
    """
    size = container.settings.DATABASE_POOL_SIZE
    if container.database.dialect == "sqlite":
        return "a file has no limit of connections"
    if container.database.is_pooled:
        return f"each process opens at most {size + BESIDE_THE_POOL} to the pooler, which shares the server's"
    try:
        async with container.database.read() as conn:
            row: Any = (await conn.execute(_SERVER)).one()
            processes = len(await alive_processes(conn, PRESENT_SECONDS))
    except DATABASE_ERRORS:
        return "the database does not say"
    wanted = processes * (size + BESIDE_THE_POOL)
    facts = f"{processes} processes may open {wanted} (DATABASE_POOL_SIZE {size}), the server allows {row.allowed}, {row.used} are open"
    if wanted > row.allowed:
        raise NotWellError(
            f"{facts}: lower DATABASE_POOL_SIZE, raise the server's limit, or use a pooler in transaction mode"
        )
    return facts
