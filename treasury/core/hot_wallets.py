"""Every hot wallet that this deployment has ever paid from: a session may name an earlier one, which may have paid it."""

from datetime import datetime
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import Address, to_checksum
from kit.db.database import metadata
from kit.db.inserts import insert_or_ignore
from kit.db.types import UtcDateTime

Source = Literal["started", "rows", "stripe"]
"""How a wallet is known: the service started with it; rows of payouts or transactions name it; a session at Stripe with our deployment id does."""

hot_wallets = sa.Table(
    "treasury_hot_wallets",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True, comment="chain id and wallet"),
    sa.Column("chain_id", sa.BigInteger(), nullable=False),
    sa.Column("wallet", sa.String(42), nullable=False),
    sa.Column("source", sa.String(16), nullable=False, comment="started, rows or stripe"),
    sa.Column("first_seen_at", UtcDateTime(), nullable=False),
)

_EARLIER: Final = (
    sa.select(hot_wallets.c.wallet)
    .where(hot_wallets.c.chain_id == sa.bindparam("chain_id"), hot_wallets.c.wallet != sa.bindparam("wallet"))
    .order_by(hot_wallets.c.first_seen_at, hot_wallets.c.wallet)
)
_SINCE: Final = (
    sa.select(sa.literal(1))
    .where(
        hot_wallets.c.chain_id == sa.bindparam("chain_id"),
        hot_wallets.c.wallet != sa.bindparam("wallet"),
        hot_wallets.c.first_seen_at >= sa.bindparam("since", type_=UtcDateTime()),
    )
    .limit(1)
)


async def note(conn: AsyncConnection, chain_id: int, wallet: Address, source: Source, now: datetime) -> bool:
    """Remember a wallet; False where it was known already."""
    wallet = to_checksum(wallet)
    row = {
        "id": f"{chain_id}:{wallet}",
        "chain_id": chain_id,
        "wallet": wallet,
        "source": source,
        "first_seen_at": now,
    }
    return bool(await insert_or_ignore(conn, hot_wallets, [row], ["id"]))


async def others(conn: AsyncConnection, chain_id: int, wallet: Address | None) -> list[Address]:
    """Return every hot wallet of this chain but `wallet`, the earliest first."""
    found = await conn.execute(_EARLIER, {"chain_id": chain_id, "wallet": wallet or ""})
    return list(found.scalars())


async def any_since(conn: AsyncConnection, chain_id: int, wallet: Address, since: datetime) -> bool:
    """Return whether this deployment came to know of another hot wallet of this chain than `wallet` at `since` or later."""
    return (await conn.execute(_SINCE, {"chain_id": chain_id, "wallet": wallet, "since": since})).first() is not None
