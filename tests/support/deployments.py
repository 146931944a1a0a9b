"""Several deployments on one Stripe account and one chain: each with its own database and hot wallet, on real parts."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from kit.db.database import Database
from onramp.deployment.table import deployments
from onramp.dev.chain.devchain import DevChain
from onramp.dev.local.wallet import DevWallet, dev_wallet
from onramp.sessions.table import sessions
from tests.support.service import Service
from treasury.ledger import service as ledger_service
from treasury.payouts.table import payouts

BUYERS = iter(range(0xB0A7_0000, 0xB0A8_0000))
UNIT = 10**18
WORKERS = ("inbox", "reconcile", "deliveries", "treasury")


def another_database(request: pytest.FixtureRequest, url: str) -> Callable[[], str]:
    """Return a function that makes more databases of the engine of `url`; copies of one migrated database are backups of one deployment."""
    if url.startswith("sqlite"):
        template: Path = request.getfixturevalue("sqlite_template")
        home: Path = request.getfixturevalue("tmp_path")
        numbers = iter(range(100))

        def copy() -> str:
            path = home / f"more-{next(numbers)}.db"
            shutil.copy(template, path)
            return f"sqlite+aiosqlite:///{path}"

        return copy
    made: Callable[[], str] = request.getfixturevalue("postgres_databases")
    return made


async def rename(database: Database, name: str) -> None:
    """Give the database another deployment id, as a database created on its own has."""
    async with database.write() as conn:
        await conn.execute(sa.update(deployments).values(id=name))


async def funded(chain: DevChain, home: Path) -> DevWallet:
    """Return a hot wallet with MUSD to sell."""
    home.mkdir(exist_ok=True)
    wallet = dev_wallet(home)
    await chain.mint(wallet.address, 1_000 * UNIT)
    await chain.fund_gas(wallet.address, UNIT)
    return wallet


def paying(chain: DevChain, wallet: DevWallet, **more: Any) -> dict[str, Any]:
    """Return the settings of a deployment that pays from this wallet."""
    return {
        "MEZO_RPC_URLS": SecretStr(",".join(chain.rpc_urls)),
        "CHAIN_AGREEMENT": 2,
        "MUSD_TOKEN_ADDRESS": chain.deployment.musd,
        "HOT_WALLET_ADDRESS": wallet.address,
        "HOT_WALLET_KEYSTORE": wallet.keystore,
        "HOT_WALLET_PASSWORD": SecretStr(wallet.password),
        **more,
    }


def buyer() -> str:
    """Return an address that never received anything."""
    return f"0x{next(BUYERS):040x}"


async def buy(service: Service, to: str, amount: str = "50") -> dict[str, Any]:
    """Create a purchase that waits for its payment; return it."""
    async with asyncio.timeout(60):
        while (made := await service.create(walletAddress=to, sourceAmount=amount))[0] != 201:
            await asyncio.sleep(0.2)
    return made[1]


def complete(service: Service, made: dict[str, Any], amount: str = "49.50") -> None:
    """Pay at Stripe, without an event."""
    fact = service.sandbox.store.get(made["payment"]["stripeSessionId"])
    service.sandbox.walk(fact, "fulfillment_complete", {"destination_amount": amount}, "none")


async def until(what: Callable[[], Awaitable[Any]], seconds: float = 90) -> Any:
    """Return the first truthy result."""
    async with asyncio.timeout(seconds):
        while not (result := await what()):
            await asyncio.sleep(0.1)
    return result


async def row_of(database: Database, session_id: str) -> Any:
    """Return the session's row, or None."""
    async with database.read() as conn:
        return (await conn.execute(sa.select(sessions).where(sessions.c.id == session_id))).first()


async def payouts_of(database: Database) -> list[Any]:
    """Return all payouts."""
    async with database.read() as conn:
        return list(await conn.execute(sa.select(payouts).order_by(payouts.c.created_at)))


async def books_of(database: Database, wallet: str) -> dict[str, int]:
    """Return the wallet's accounts of MUSD."""
    async with database.read() as conn:
        return {str(name): amount for name, amount in (await ledger_service.balances(conn, wallet, "MUSD")).items()}


async def copy_session(source: Database, target: Database, session_id: str) -> None:
    """Let the target be a backup that was taken while this session waited for its payment."""
    row = dict((await row_of(source, session_id))._mapping)
    async with target.write() as conn:
        await conn.execute(sa.insert(sessions), [row])
