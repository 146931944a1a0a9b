"""Create SQLAlchemy engines: with a limit on every wait, no values in error messages, and durable writes on SQLite."""

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
"""The most connections to a SQLite database. Writers queue on one lock, so few are faster than many (measured: for writes, 1 is faster than 5)."""


def is_in_memory(url: URL) -> bool:
    """Return whether the database is in memory, and lost with its only connection."""
    return url.database in {None, "", ":memory:"}


def sqlite_engine(url: URL, size: int) -> AsyncEngine:
    """Return an engine for SQLite with at most `size` connections. Nothing is opened yet."""
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
        # Without the option each statement is a transaction of its own, as when reading from Postgres.
        if connection.get_execution_options().get("begin_immediate"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def postgres_engine(target: Target, size: int, *, pooled: bool, name: str = "") -> AsyncEngine:
    """Return an engine for Postgres with at most `size` connections; `pooled` if a pooler in transaction mode is in front of the server.

    `name` is shown by the server as the connections' `application_name`, unless the URL gives one.

    Such a pooler keeps neither prepared statements nor session settings: statements are then sent unnamed, and the server's timeouts are
    those of the role. Otherwise the timeouts are set after connecting, since PgBouncer refuses them as startup parameters.
    """
    arguments = {
        "timeout": CONNECT_SECONDS,
        "command_timeout": COMMAND_SECONDS,
        "async_creator_fn": open_pooled_postgres if pooled else open_postgres,
        **target.arguments,
    }
    if name:
        settings = {"application_name": name} | arguments.get("server_settings", {})
        arguments["server_settings"] = settings
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
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_pre_ping=False,
        pool_recycle=1800,
    )
