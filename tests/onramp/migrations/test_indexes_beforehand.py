"""The statements of docs/deploying.md that create indexes before a migration: the migration accepts what they create."""

import re
from typing import Final

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import make_url

from kit.db.database import connect, metadata
from onramp import migrations
from tests.support.migrating import upgrade_to
from tests.support.paths import ROOT

STATEMENTS: Final = re.findall(
    r"CREATE INDEX CONCURRENTLY IF NOT EXISTS (\w+) (.+);", (ROOT / "docs/deploying.md").read_text(encoding="utf-8")
)


async def test_indexes_created_beforehand_are_kept(postgres_url: str) -> None:
    """The database's template is migrated, so the tables are made again, in a schema of their own."""
    url = make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)
    owner = await asyncpg.connect(url)
    await owner.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    database = connect(postgres_url)
    for revision, names in (("0021", STATEMENTS[:-1]), ("0026", STATEMENTS[-1:])):
        await upgrade_to(database, revision)
        for name, rest in names:
            await owner.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} {rest}")
    created = await owner.fetch(
        "SELECT relname, oid FROM pg_class WHERE relname = ANY($1)", [name for name, _ in STATEMENTS]
    )
    await migrations.upgrade(database)
    kept = await owner.fetch(
        "SELECT relname, oid FROM pg_class WHERE relname = ANY($1)", [name for name, _ in STATEMENTS]
    )
    assert len(STATEMENTS) == len(created) == 15
    assert set(kept) == set(created), "none was built a second time"
    async with database.read() as conn:
        assert await conn.run_sync(lambda sync: compare_metadata(MigrationContext.configure(sync), metadata)) == []
    await owner.close()
    await database.close()
