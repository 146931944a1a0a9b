"""Revision 0026 on a database with rows: keys and invitations stay, the new role is accepted, and a large table is not rewritten."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.exc import IntegrityError

from kit.db.database import Database, connect
from onramp import migrations
from onramp.auth.api_keys.table import api_key_secrets, api_keys
from onramp.auth.invitations.table import invitations
from tests.support.api_keys import create_key
from tests.support.filled_database import Past

REVISION, BEFORE = "0026", "0025"
WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ROWS = 20_000


async def to(database: Database, revision: str, *, up: bool = False) -> None:
    """Migrate to a revision, back unless `up`."""

    def change(conn: sa.Connection) -> None:
        config = migrations.config()
        config.attributes["connection"] = conn
        (command.upgrade if up else command.downgrade)(config, revision)

    async with database.engine.connect() as conn:
        if database.dialect == "sqlite":
            await conn.exec_driver_sql("PRAGMA foreign_keys = OFF")
            await conn.rollback()
        async with conn.begin():
            await conn.run_sync(change)


async def rows_of(database: Database) -> dict[str, list[Any]]:
    async with database.read() as conn:
        return {
            table.name: [tuple(row) for row in await conn.execute(sa.select(table).order_by(table.c.id))]
            for table in (api_keys, api_key_secrets, invitations)
        }


async def test_keys_secrets_and_invitations_stay_and_the_new_role_is_accepted(database: Database) -> None:
    for role in ("viewer", "operator", "approver", "admin"):
        await create_key(database, role, f"{role} person")
    await to(database, BEFORE)
    async with database.write() as conn:
        await conn.execute(
            sa.insert(invitations).values(
                id="inv_1", token_hash="h", role="viewer", name="x", person="x", created_at=NOW, created_by="machine",
                expires_at=NOW + timedelta(hours=1),
            )
        )  # fmt: skip
    before = await rows_of(database)
    with pytest.raises(IntegrityError, match="ck_api_keys_role"):
        async with database.write() as conn:
            await conn.execute(sa.text("UPDATE api_keys SET role = 'dapp'"))
    assert await migrations.upgrade(database) == (BEFORE, migrations.newest())
    assert await rows_of(database) == before
    await create_key(database, "dapp", "dana")
    for table in ("api_keys", "invitations"):
        with pytest.raises(IntegrityError, match=f"ck_{table}_role"):
            async with database.write() as conn:
                await conn.execute(sa.text(f"UPDATE {table} SET role = 'nobody'"))
    with pytest.raises(IntegrityError):
        async with database.write() as conn:
            await conn.execute(sa.text("INSERT INTO invitations SELECT * FROM invitations"))


async def test_it_is_not_taken_back_while_a_key_has_the_new_role(database: Database) -> None:
    await create_key(database, "dapp", "dana")
    await to(database, REVISION)
    with pytest.raises(IntegrityError):
        await to(database, BEFORE)
    assert await migrations.current(database) == REVISION


async def test_a_large_table_is_not_rewritten(postgres_url: str) -> None:
    database = connect(postgres_url)
    await to(database, BEFORE)
    await Past(database, ROWS, WALLET, WALLET).fill(["sessions"])
    file = sa.text("SELECT relfilenode FROM pg_class WHERE relname = 'sessions'")
    async with database.read() as conn:
        before = await conn.scalar(file)
    started = time.monotonic()
    await to(database, migrations.newest(), up=True)
    assert time.monotonic() - started < 10
    async with database.read() as conn:
        assert await conn.scalar(file) == before
        assert await conn.scalar(sa.text("SELECT count(*) FROM sessions WHERE reference IS NOT NULL")) == 0
    await database.close()
