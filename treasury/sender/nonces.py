"""The nonces of the wallet that are used, as far as the database knows: by our transactions and by unmatched ones."""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from treasury.core.hot_wallets import HotWallet
from treasury.incidents import unmatched
from treasury.restores import service as restores_service
from treasury.transactions import queries

# Built once: the sender runs them in each cycle, and building the text cost more than running it.
_HIGHEST = sa.select(queries.HIGHEST_NONCE.scalar_subquery(), unmatched.HIGHEST_NONCE.scalar_subquery())
_HIGHEST_AND_RESTORE = _HIGHEST.add_columns(restores_service.OPEN_ID.scalar_subquery())
_NONCES = sa.union(queries.NONCES, unmatched.NONCES)
_COUNT = sa.select(sa.func.count()).select_from(_NONCES.subquery())


async def next_nonce(conn: AsyncConnection, wallet: HotWallet) -> int:
    """Return the number after the highest nonce that is used or allocated."""
    highest = (await conn.execute(_HIGHEST, wallet.columns)).one()
    return 1 + max(-1 if nonce is None else nonce for nonce in highest)


class NextNonce(NamedTuple):
    """The number after the highest nonce that is used or allocated, and the id of the open restore that has to be done before it may pay."""

    number: int
    restore_id: str | None


async def next_to_sign(conn: AsyncConnection, wallet: HotWallet) -> NextNonce:
    """Return the next nonce together with the open restore, in one query."""
    *highest, restore_id = (await conn.execute(_HIGHEST_AND_RESTORE, wallet.columns)).one()
    return NextNonce(1 + max(-1 if nonce is None else nonce for nonce in highest), restore_id)


async def unknown_below(conn: AsyncConnection, wallet: HotWallet, first: int) -> list[int]:
    """Return the nonces below `first` that no row holds.

    Usually there are none, because each nonce is recorded before the next one. If an earlier hot wallet is configured again, there may be
    some: one of its payments may have been found by its reference before the transactions with lower nonces were read.
    """
    if (await conn.execute(_COUNT, wallet.columns)).scalar_one() >= first:
        return []
    used = {nonce for (nonce,) in (await conn.execute(_NONCES, wallet.columns)).fetchall()}
    return [nonce for nonce in range(first) if nonce not in used]
