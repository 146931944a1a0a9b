"""How a checklist migrates its database, as `onramp recover` does it."""

from typing import Any

from kit.db.database import Database
from onramp import migrations


def migrating(database: Database) -> dict[str, Any]:
    """Return the two functions that a recovery is given."""

    async def is_migrated() -> bool:
        return await migrations.current(database) == migrations.newest()

    async def migrate() -> tuple[str | None, str]:
        return await migrations.upgrade(database)

    return {"is_migrated": is_migrated, "migrate": migrate}
