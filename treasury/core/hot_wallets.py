"""A hot wallet as a value, and the record of every one that this deployment has ever paid from.

A session may name an earlier hot wallet, which may have paid it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import Address, to_checksum
from kit.db.database import metadata
from kit.db.inserts import insert_or_ignore
from kit.db.types import UtcDateTime


@dataclass(frozen=True, slots=True)
class HotWallet:
    """One hot wallet on one chain."""

    chain_id: int
    address: Address

    @property
    def key(self) -> str:
        """The key of rows that exist once for each hot wallet: the chain id, a colon and the address."""
        return f"{self.chain_id}:{self.address}"

    @property
    def columns(self) -> dict[str, Any]:
        """The wallet as values of the columns and parameters `chain_id` and `wallet`."""
        return {"chain_id": self.chain_id, "wallet": self.address}


Source = Literal["started", "rows", "stripe"]
"""The way in which a wallet came to be recorded.

The service started with it (`started`), payouts or transactions name it (`rows`), or a session at Stripe with this deployment's id
names it (`stripe`).
"""

hot_wallets = sa.Table(
    "treasury_hot_wallets",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True, comment="chain id and wallet"),
    sa.Column("chain_id", sa.BigInteger(), nullable=False),
    sa.Column("wallet", sa.String(42), nullable=False),
    sa.Column("source", sa.String(16), nullable=False, comment="started, rows or stripe"),
    sa.Column("first_seen_at", UtcDateTime(), nullable=False),
)

_OTHERS: Final = (
    sa.select(hot_wallets.c.wallet)
    .where(hot_wallets.c.chain_id == sa.bindparam("chain_id"), hot_wallets.c.wallet != sa.bindparam("wallet"))
    .order_by(hot_wallets.c.first_seen_at, hot_wallets.c.wallet)
)
_ANY_OTHER_SINCE: Final = (
    sa.select(sa.literal(1))
    .where(
        hot_wallets.c.chain_id == sa.bindparam("chain_id"),
        hot_wallets.c.wallet != sa.bindparam("wallet"),
        hot_wallets.c.first_seen_at >= sa.bindparam("since", type_=UtcDateTime()),
    )
    .limit(1)
)


async def record(conn: AsyncConnection, wallet: HotWallet, source: Source, now: datetime) -> bool:
    """Record a wallet once; return False if it was recorded before."""
    wallet = HotWallet(wallet.chain_id, to_checksum(wallet.address))
    row = {"id": wallet.key, **wallet.columns, "source": source, "first_seen_at": now}
    return bool(await insert_or_ignore(conn, hot_wallets, [row], ["id"]))


async def others(conn: AsyncConnection, chain_id: int, wallet: Address | None) -> list[Address]:
    """Return every recorded hot wallet of this chain except `wallet`, the earliest first."""
    addresses = await conn.execute(_OTHERS, {"chain_id": chain_id, "wallet": wallet or ""})
    return list(addresses.scalars())


async def any_other_since(conn: AsyncConnection, wallet: HotWallet, since: datetime) -> bool:
    """Return whether another hot wallet of the same chain was recorded at `since` or later."""
    return (await conn.execute(_ANY_OTHER_SINCE, {**wallet.columns, "since": since})).first() is not None
