"""Declare a restore, read the open one, end it; each operation in the caller's open transaction.

Bytes that were signed before the restore can be mined only at a nonce below the chain's count at their signature plus the depth of the
pipeline. Once as many nonces in a row are spent by transfers that were signed after the restore, none of those bytes is valid any more.
"""

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import Address
from kit.audit import service as audit_service
from kit.ids import Ids
from treasury.core.hot_wallets import HotWallet
from treasury.restores.model import Restore, Source
from treasury.restores.table import restores, to_restore

MAX_DEPTH: Final = 16
"""The deepest pipeline that HOT_WALLET_PIPELINE allows."""
_C = restores.c
_OPEN_OF_WALLET = sa.and_(
    _C.chain_id == sa.bindparam("chain_id"), _C.wallet == sa.bindparam("wallet"), _C.done_at.is_(None)
)
OPEN_ID = sa.select(_C.id).where(_OPEN_OF_WALLET)
"""The query of the id of the wallet's open restore. It is a part of the query for the next nonce, so that asking costs nothing more."""
_OPEN = sa.select(restores).where(_OPEN_OF_WALLET)
_OPEN_OF_OTHERS = (
    sa.select(restores)
    .where(_C.chain_id == sa.bindparam("chain_id"), _C.wallet != sa.bindparam("wallet"), _C.done_at.is_(None))
    .order_by(_C.declared_at, _C.id)
)
_NEWEST = (
    sa.select(restores)
    .where(_C.chain_id == sa.bindparam("chain_id"), _C.wallet == sa.bindparam("wallet"))
    .order_by(_C.declared_at.desc(), _C.id.desc())
    .limit(1)
)


async def declare(
    conn: AsyncConnection,
    wallet: HotWallet,
    source: Source,
    *,
    depth: int,
    by: str,
    note: str,
    now: datetime,
    ids: Ids,
) -> Restore:
    """Declare that the database is older than what the wallet has signed; return the new restore, which replaces an open one.

    Nonces that an open one has spent do not count for the new one: they may have been restored as well. Its depth is kept if it is greater.
    """
    before = await open_restore(conn, wallet)
    if before is not None:
        await conn.execute(sa.update(restores).where(_C.id == before.id).values(done_at=now))
        depth = max(depth, before.depth)
    restore = Restore(
        ids.new("rst_"), wallet.chain_id, wallet.address, min(max(depth, 1), MAX_DEPTH), source, by, note, now, None
    )
    values = {name: getattr(restore, name) for name in restores.c.keys()}  # noqa: SIM118 - a collection of columns
    await conn.execute(sa.insert(restores).values(values))
    after = {"wallet": wallet.address, "depth": restore.depth, "source": source, "note": note}
    replaced = None if before is None else {"open": before.id}
    await audit_service.record(conn, by, "treasury.restore", restore.id, replaced, after, at=now)
    return restore


async def open_restore(conn: AsyncConnection, wallet: HotWallet) -> Restore | None:
    """Return the wallet's unfinished restore; None if there is none."""
    row = (await conn.execute(_OPEN, wallet.columns)).first()
    return None if row is None else to_restore(row)


async def open_of_others(conn: AsyncConnection, chain_id: int, wallet: Address | None) -> list[Restore]:
    """Return the unfinished restores of this chain's other hot wallets than `wallet`, the earliest first."""
    rows = await conn.execute(_OPEN_OF_OTHERS, {"chain_id": chain_id, "wallet": wallet or ""})
    return [to_restore(row) for row in rows]


async def newest(conn: AsyncConnection, wallet: HotWallet) -> Restore | None:
    """Return the wallet's restore that was declared last, done or not; None if it never had one."""
    row = (await conn.execute(_NEWEST, wallet.columns)).first()
    return None if row is None else to_restore(row)


async def finish(conn: AsyncConnection, restore: Restore, *, by: str, now: datetime) -> None:
    """Record that every nonce of the restore is spent, so that payments go on."""
    is_open = sa.and_(_C.id == restore.id, _C.done_at.is_(None))
    if (await conn.execute(sa.update(restores).where(is_open).values(done_at=now))).rowcount == 1:
        await audit_service.record(conn, by, "treasury.restored", restore.id, {"open": True}, {"open": False}, at=now)
