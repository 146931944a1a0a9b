"""The hot wallets' balances as the workers last read them, and how much of each may still be promised."""

from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import metadata
from kit.db.types import Uint256, UtcDateTime
from treasury.core import aggregates
from treasury.core.available import Available
from treasury.core.hot_wallets import HotWallet
from treasury.payouts import service as payouts_service
from treasury.sweeps import service as sweeps_service

balances = sa.Table(
    "treasury_balances",
    metadata,
    sa.Column("id", sa.String(96), primary_key=True),
    sa.Column("chain_id", sa.BigInteger(), nullable=False),
    sa.Column("wallet", sa.String(42), nullable=False),
    sa.Column("asset", sa.String(16), nullable=False),
    sa.Column("amount", Uint256(), nullable=False),
    sa.Column("block_number", sa.BigInteger(), nullable=False),
    sa.Column("updated_at", UtcDateTime(), nullable=False),
)


@cache
def _upsert(dialect: str) -> Any:
    # Built once: the sender runs it in each cycle.
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(balances)
    newer = {name: insert.excluded[name] for name in ("amount", "block_number", "updated_at")}
    not_older = balances.c.block_number <= insert.excluded.block_number
    return insert.on_conflict_do_update(index_elements=["id"], set_=newer, where=not_older)


async def refresh(
    conn: AsyncConnection, wallet: HotWallet, asset: str, *, amount: int, block_number: int, now: datetime
) -> None:
    """Store a balance that was agreed at a block; a balance at an older block never overwrites it."""
    values = {"amount": amount, "block_number": block_number, "updated_at": now}
    row = {"id": f"{wallet.key}:{asset}", **wallet.columns, "asset": asset, **values}
    await conn.execute(_upsert(conn.dialect.name), row)


# In one query, because every purchase asks.
_RESERVED = aggregates.total_of(*payouts_service.RESERVED, *sweeps_service.RESERVED)
_NEWEST = (
    sa.select(balances.c.amount, balances.c.block_number, balances.c.updated_at)
    .where(balances.c.wallet == sa.bindparam("wallet"), balances.c.asset == sa.bindparam("asset"))
    .order_by(balances.c.updated_at.desc())
    .limit(1)
)


async def on_chain_of(conn: AsyncConnection, wallet: str, asset: str) -> tuple[int, int | None]:
    """Return the base units last read on chain and the block of the reading; (0, None) before the first one."""
    row = await _newest(conn, wallet, asset)
    return (0, None) if row is None else (row.amount, row.block_number)


async def read_at(conn: AsyncConnection, wallet: str, asset: str) -> datetime | None:
    """Return when a worker last stored this balance; None if none has done so."""
    row = await _newest(conn, wallet, asset)
    return None if row is None else row.updated_at


async def available(conn: AsyncConnection, wallet: str, asset: str) -> Available:
    """Return the balance and how much of it may still be promised; both are 0 before the first reading of the chain."""
    row = await _newest(conn, wallet, asset)
    on_chain, block_number, moment = (0, None, None) if row is None else (row.amount, row.block_number, row.updated_at)
    block = aggregates.NO_BLOCK if block_number is None else block_number
    reserved = await aggregates.total(conn, _RESERVED, wallet=wallet, asset=asset, block=block, balance=on_chain)
    return Available(on_chain, reserved, max(0, on_chain - reserved), block_number, moment)


async def _newest(conn: AsyncConnection, wallet: str, asset: str) -> Any:
    return (await conn.execute(_NEWEST, {"wallet": wallet, "asset": asset})).first()
