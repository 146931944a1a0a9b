"""Engines as this service uses them: limits on every wait, no values in error messages, SQLite's settings for durable writes."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from kit.db.drivers import (
    COMMAND_SECONDS,
    CONNECT_SECONDS,
    POOL_SECONDS,
    SQLITE_BUSY_MS,
    open_pooled_postgres,
    open_postgres,
    open_sqlite,
)
from kit.db.url import Target

SQLITE_POOL_SIZE: Final = 4
"""Several SQLite writers only queue on one lock; few connections are faster than many (measured: pool 1 beats 5 for writes)."""


def is_in_memory(url: URL) -> bool:
    """Whether the database is gone with its one connection."""
    return url.database in {None, "", ":memory:"}


def sqlite_engine(url: URL, size: int) -> AsyncEngine:
    """An engine for SQLite with `size` connections at most. Nothing is opened yet."""
    options: dict[str, Any] = (
        {"poolclass": sa.StaticPool} if is_in_memory(url) else {"pool_size": size, "max_overflow": 0}
    )
    arguments = {"timeout": SQLITE_BUSY_MS / 1000, "isolation_level": None, "async_creator_fn": open_sqlite}
    engine = create_async_engine(url, connect_args=arguments, hide_parameters=True, **options)

    @sa.event.listens_for(engine.sync_engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={SQLITE_BUSY_MS}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # Reading, each statement stands alone, as on Postgres.
        if connection.get_execution_options().get("onramp_writes"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def postgres_engine(target: Target, size: int, overflow: int, *, pooled: bool) -> AsyncEngine:
    """Make an engine whose connections suit what stands before the server.

    A pooler that lends a server connection for one transaction keeps no prepared statement and no session setting for us:
    statements are then sent unnamed, and the timeouts of the server are those of the role. Without one, the timeouts are set after
    connecting, since PgBouncer refuses them as startup parameters.
    """
    arguments = {
        "timeout": CONNECT_SECONDS,
        "command_timeout": COMMAND_SECONDS,
        "async_creator_fn": open_pooled_postgres if pooled else open_postgres,
        **target.arguments,
    }
    if pooled:
        arguments |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: "",
        }
    return create_async_engine(
        target.url,
        connect_args=arguments,
        hide_parameters=True,
        pool_size=size,
        max_overflow=overflow,
        pool_timeout=POOL_SECONDS,
        pool_pre_ping=False,
        pool_recycle=1800,
    )
