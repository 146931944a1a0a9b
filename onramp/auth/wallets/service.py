"""Operations of a login, each inside the caller's transaction except `burn`."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import Database
from kit.db.inserts import insert_or_ignore
from kit.db.types import UtcDateTime
from onramp.auth.wallets.table import login_nonces, wallet_logins


@dataclass(frozen=True, slots=True)
class Waiting:
    """A login nonce that is not used yet: the wallet and the origin that it was issued for, and when it expires."""

    address: str
    origin: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Burnt:
    """A used login nonce, and the token version of the account that the caller named."""

    waiting: Waiting
    version: int


EVERY_WALLET: Final = "*"
"""The id of the row whose version is added to that of every wallet."""
_MORE_THAN_LOGOUTS: Final = 1_000_000
"""A number above the logouts of one wallet that a restored database may have lost."""
_MOMENT: Final = UtcDateTime()
_DELETE: Final = (
    "DELETE FROM login_nonces WHERE id = {} RETURNING address, origin, expires_at, "
    "(SELECT COALESCE(SUM(version), 0) FROM wallet_logins WHERE id IN ({}, '*'))"
)
_BURN: Final = {"postgresql": _DELETE.format("$1", "$2"), "sqlite": _DELETE.format("?", "?")}


async def remember(conn: AsyncConnection, nonce: str, waiting: Waiting) -> None:
    """Store a nonce until its signature arrives."""
    await conn.execute(
        sa.insert(login_nonces).values(
            id=nonce, address=waiting.address, origin=waiting.origin, expires_at=waiting.expires_at
        )
    )


async def burn(database: Database, nonce: str, account: str) -> Burnt | None:
    """Delete a login nonce and return it, with the token version of `account`; None if it is not stored. Of concurrent calls only one gets it.

    This is one statement in its own transaction, so that a login queries the database once.
    """
    rows = await database.autocommit(_BURN[database.dialect], nonce, account)
    if not rows:
        return None
    address, origin, expires_at, version = rows[0]
    moment = _MOMENT.process_result_value(expires_at, database.engine.dialect)
    assert moment is not None
    return Burnt(Waiting(address, origin, moment), version or 0)


async def forget_expired(conn: AsyncConnection, now: datetime, limit: int = 500) -> int:
    """Delete at most `limit` expired nonces; return how many."""
    over = sa.select(login_nonces.c.id).where(login_nonces.c.expires_at < now)
    over = over.order_by(login_nonces.c.expires_at).limit(limit)
    return (await conn.execute(sa.delete(login_nonces).where(login_nonces.c.id.in_(over)))).rowcount


async def versions(conn: AsyncConnection, addresses: Collection[str]) -> dict[str, int]:
    """Return for each address its token version: its own logouts plus what was added for all wallets. A token with another version is refused."""
    rows = await conn.execute(sa.select(wallet_logins).where(wallet_logins.c.id.in_([EVERY_WALLET, *addresses])))
    found = {row.id: row.version for row in rows}
    return {address: found.get(address, 0) + found.get(EVERY_WALLET, 0) for address in addresses}


async def log_out_all(conn: AsyncConnection) -> None:
    """End all tokens of all wallets, also those of logins that this database has lost."""
    if await insert_or_ignore(conn, wallet_logins, [{"id": EVERY_WALLET, "version": _MORE_THAN_LOGOUTS}]):
        return
    more = wallet_logins.c.version + _MORE_THAN_LOGOUTS
    await conn.execute(sa.update(wallet_logins).where(wallet_logins.c.id == EVERY_WALLET).values(version=more))


async def log_out(conn: AsyncConnection, address: str) -> None:
    """Count a logout of this wallet, which ends all its tokens."""
    if await insert_or_ignore(conn, wallet_logins, [{"id": address, "version": 1}]):
        return
    await conn.execute(
        sa.update(wallet_logins).where(wallet_logins.c.id == address).values(version=wallet_logins.c.version + 1)
    )
