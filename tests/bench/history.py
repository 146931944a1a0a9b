"""Measure a create beside a long past: the same service on a database with few finished purchases and on one with many."""

import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import asyncpg
import sqlalchemy as sa
from sqlalchemy.engine import URL

from kit.clock import SystemClock
from kit.db.bulk import insert_new
from kit.db.database import Database, connect
from onramp import migrations
from onramp.dev.chain.anvil import free_port
from onramp.sessions.table import sessions
from tests.bench import truth
from tests.support.filled_database import LAST_BLOCK, Past
from treasury import balances
from treasury.core.hot_wallets import HotWallet

OLDER: Final = 10_000
"""Sessions that every measured database holds already."""
FEW: Final = 2_000
MANY: Final = int(os.environ.get("BENCH_PAST", "1000000"))
HOT_WALLET: Final = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
TOKEN: Final = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"
READ_BY_CREATE: Final = ("sessions", "treasury_payouts")
"""The tables that a create reads and that grow with every purchase."""


async def row(
    server: URL,
    environment: Callable[[str, int, str, str], dict[str, str]],
    process: Callable[..., Any],
    compare: Callable[..., Any],
    creation: Callable[[], bytes],
    loads: Callable[..., Any],
    upstream: tuple[str, str],
) -> tuple[str, ...]:
    """Measure creates per second beside MANY finished purchases, against FEW; `upstream` are the URLs of Stripe and of the nodes."""
    admin = await asyncpg.connect(server.render_as_string(hide_password=False))
    async with AsyncExitStack() as stack:
        ports = []
        for count in (MANY, FEW):
            await admin.execute(f"CREATE DATABASE past_{count}")
            url = server.set(database=f"past_{count}").render_as_string(hide_password=False)
            database = connect(url)
            await migrations.upgrade(database)
            await Past(database, count, HOT_WALLET, TOKEN).fill(READ_BY_CREATE)
            await stock(database)
            await database.close()
            ports.append(free_port())
            serve = ["-m", "onramp", "serve", "--no-workers"]
            await stack.enter_async_context(process(serve, ports[-1], environment(url, ports[-1], *upstream)))
        many, few = ports
        name = f"session create beside {MANY:,} finished payouts, against {FEW:,}"
        result: tuple[str, ...] = await compare(name, ">= 0.83x", loads(many, creation), loads(few, creation), pairs=3)
    for count in (MANY, FEW):
        await admin.execute(f"DROP DATABASE past_{count} WITH (FORCE)")
    await admin.close()
    return result


async def stock(database: Database) -> None:
    """Insert a large balance of MUSD, so that no create is refused, and older sessions, so that query plans are those of a service in use."""
    expired = {"payment_status": "expired", "paid_at": None, "delivered_units": None, "expected_units": None}
    older = [row | expired for row in truth.paid_rows(truth.rules_of("payout"), range(OLDER))]
    async with database.write() as conn:
        await insert_new(conn, sessions, older)
        await balances.refresh(
            conn,
            HotWallet(31611, HOT_WALLET),
            "MUSD",
            amount=10**30,
            block_number=LAST_BLOCK + 1,
            now=SystemClock().now(),
        )
        await conn.execute(sa.text("ANALYZE"))
