"""Migrate a database: as `onramp recover` does it, and to a revision of the test's choice."""

from typing import Any

import sqlalchemy as sa
from alembic import command

from kit.db.database import Database
from onramp import migrations


def migrating(database: Database) -> dict[str, Any]:
    """Return the two functions that a recovery is given."""

    async def is_migrated() -> bool:
        return await migrations.current(database) == migrations.newest()

    async def migrate() -> tuple[str | None, str]:
        return await migrations.upgrade(database)

    return {"is_migrated": is_migrated, "migrate": migrate}


async def upgrade_to(database: Database, revision: str) -> None:
    """Bring an empty or older database to a revision that is not the newest."""

    def upgrade(conn: sa.Connection) -> None:
        config = migrations.config()
        config.attributes["connection"] = conn
        command.upgrade(config, revision)

    async with database.engine.connect() as conn:
        if database.dialect == "sqlite":
            await conn.exec_driver_sql("PRAGMA foreign_keys = OFF")
            await conn.rollback()
        async with conn.begin():
            await conn.run_sync(upgrade)
