"""What the hot wallet holds and what of it is free to promise."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.columns import Uint256, UtcDateTime
from kit.database import metadata
from kit.store import insert_or_nothing
from treasury.payouts import service as payouts
from treasury.sweeps import service as sweeps

GAS_ASSET = "BTC"
"""Mezo's gas token, 18 decimals."""

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


@dataclass(frozen=True, slots=True)
class Available:
    """Base units of one asset; `available` is what is on chain less what is held, and never below zero."""

    on_chain: int
    held: int
    available: int
    block_number: int | None


# Written once: the sender writes it in each cycle, and each purchase asks.
_RENEW = sa.update(balances).where(
    balances.c.id == sa.bindparam("key"), balances.c.block_number <= sa.bindparam("as_of", type_=sa.BigInteger())
)


async def refresh(
    conn: AsyncConnection, *, chain_id: int, wallet: str, asset: str, amount: int, block_number: int, now: datetime
) -> None:
    """Write down a balance as agreed at a block; an older block never overwrites a newer one."""
    values = {"amount": amount, "block_number": block_number, "updated_at": now}
    key = f"{chain_id}:{wallet}:{asset}"
    row = {"id": key, "chain_id": chain_id, "wallet": wallet, "asset": asset, **values}
    if await insert_or_nothing(conn, balances, [row], ["id"]):
        return
    await conn.execute(_RENEW, {"key": key, "as_of": block_number, **values})


_NEWEST = (
    sa.select(balances.c.amount, balances.c.block_number)
    .where(balances.c.wallet == sa.bindparam("wallet"), balances.c.asset == sa.bindparam("asset"))
    .order_by(balances.c.updated_at.desc())
    .limit(1)
)


async def available(conn: AsyncConnection, wallet: str, asset: str) -> Available:
    """What may still be promised. Before the first reading of the chain it is nothing, at block None."""
    row = (await conn.execute(_NEWEST, {"wallet": wallet, "asset": asset})).first()
    block_number = None if row is None else row.block_number
    on_chain = 0 if row is None else row.amount
    held = await payouts.held(conn, wallet, asset, block_number) + await sweeps.held(conn, wallet, asset, block_number)
    return Available(on_chain, held, max(0, on_chain - held), block_number)
