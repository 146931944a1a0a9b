"""The deployment id is created with the database, by the migration that also records which wallets have paid so far."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.db.database import Database, connect
from onramp import migrations
from onramp.deployment import service as deployment_service
from tests.support.deployments import row_of
from treasury.core import hot_wallets

BEFORE = "0019"
"""The revision before the one that gives a database its deployment id."""
OTHER = "0x976EA74026E726554dB657fA54763abd0C3a0aa9"


async def upgraded(database: Database, to: str) -> None:
    async with database.engine.connect() as conn:
        await conn.execution_options(begin_immediate=True)
        async with conn.begin():

            def run(sync: sa.Connection) -> None:
                from alembic import command

                config = migrations.config()
                config.attributes["connection"] = sync
                command.upgrade(config, to)

            await conn.run_sync(run)


@pytest.fixture
async def empty(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    is_sqlite = database_url.startswith("sqlite")
    database = connect(f"sqlite+aiosqlite:///{tmp_path}/empty.db" if is_sqlite else database_url)
    if not is_sqlite:
        async with database.write() as conn:
            await conn.execute(sa.text("DROP SCHEMA public CASCADE"))
            await conn.execute(sa.text("CREATE SCHEMA public"))
    yield database
    await database.close()


async def test_an_upgrade_names_the_deployment_and_every_wallet_that_paid(empty: Database) -> None:
    await upgraded(empty, BEFORE)
    now = datetime.now(UTC).isoformat()
    async with empty.write() as conn:
        await conn.execute(
            sa.text(
                "INSERT INTO treasury_balances (id, chain_id, wallet, asset, amount, block_number, updated_at)"
                f" VALUES ('31611:{OTHER}:MUSD', 31611, '{OTHER}', 'MUSD', '1', 1, '{now}')"
            )
        )
        await conn.execute(
            sa.text(
                "INSERT INTO sessions (id, version, wallet_address, source_minor, source_currency, mode, fee_bps, locked_address,"
                " destination_currency, destination_network, from_block, payment_status, payment_updated_at, delivery_status,"
                " delivery_updated_at, created_at, updated_at, expires_at, asked_at)"
                f" VALUES ('ons_1', 1, '{OTHER}', 100, 'usd', 'payout', 0, '{OTHER}', 'usdc', 'ethereum', 0, 'initialized',"
                f" '{now}', 'awaiting', '{now}', '{now}', '{now}', '{now}', '{now}')"
            )
        )
    await migrations.upgrade(empty)
    async with empty.read() as conn:
        own = await deployment_service.read(conn)
        assert await hot_wallets.others(conn, 31611, None) == [OTHER]
        assert (await row_of(empty, "ons_1")).deployment_id is None
    assert own is not None
    assert own.id.startswith("dep_")
    assert own.unmarked_until is not None
    assert own.unmarked_until > datetime.now(UTC) + timedelta(days=1)
    await migrations.upgrade(empty)
    async with empty.read() as conn:
        assert await deployment_service.read(conn) == own


async def test_a_new_database_admits_no_sale_without_marks(empty: Database) -> None:
    await migrations.upgrade(empty)
    async with empty.read() as conn:
        own = await deployment_service.read(conn)
        assert await hot_wallets.others(conn, 31611, None) == []
    assert own is not None
    assert own.unmarked_until is None
