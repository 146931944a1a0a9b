"""The verbs of a session, each inside the caller's transaction."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import is_address, to_checksum
from kit.db.inserts import insert_or_ignore
from kit.db.paging import newest_first
from onramp.sessions.model import Session, from_row
from onramp.sessions.states import OPEN, UNPAID
from onramp.sessions.table import sessions

_HASH: Final = re.compile("0x[0-9a-f]{64}")
_BY_IDS = sa.select(sessions).where(sessions.c.id.in_(sa.bindparam("ids", expanding=True)))


async def get(conn: AsyncConnection, session_id: str) -> Session | None:
    """One session by our id."""
    row = (await conn.execute(sa.select(sessions).where(sessions.c.id == session_id))).one_or_none()
    return None if row is None else from_row(row)


async def get_many(conn: AsyncConnection, ids: Collection[str]) -> dict[str, Session]:
    """Sessions by id; unknown ids are left out."""
    rows = await conn.execute(_BY_IDS, {"ids": list(ids)})
    return {row.id: from_row(row) for row in rows}


async def by_stripe_id(conn: AsyncConnection, stripe_session_id: str) -> Session | None:
    """One session by Stripe's id."""
    statement = sa.select(sessions).where(sessions.c.stripe_session_id == stripe_session_id)
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else from_row(row)


async def by_client_key(conn: AsyncConnection, wallet: str, idempotency_hash: str) -> Session | None:
    """The session that a client's key made before, while it is remembered."""
    statement = sa.select(sessions).where(
        sessions.c.wallet_address == wallet, sessions.c.idempotency_hash == idempotency_hash
    )
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else from_row(row)


async def find(conn: AsyncConnection, needle: str) -> list[Session]:
    """Sessions by our id, Stripe's, a wallet or a transaction hash, the newest first; fifty at most."""
    form = needle.lower()
    if is_address(form):
        own = sa.select(sessions).where(sessions.c.wallet_address == to_checksum(form))
        query = newest_first(own, sessions.c.created_at, sessions.c.id).limit(50)
    elif _HASH.fullmatch(form):
        query = sa.select(sessions).where(sessions.c.tx_hash == form)
    else:
        query = sa.select(sessions).where(sa.or_(sessions.c.id == needle, sessions.c.stripe_session_id == needle))
    found = [from_row(row) for row in (await conn.execute(query)).fetchall()]
    return sorted(found, key=lambda one: one.created_at, reverse=True)[:50]


async def newest(
    conn: AsyncConnection, limit: int, status: str | None = None, before: str | None = None
) -> list[Session]:
    """The newest sessions, of one payment status if given; those older than the session `before` where given."""
    query = newest_first(sa.select(sessions), sessions.c.created_at, sessions.c.id, before).limit(limit)
    if status is not None:
        query = query.where(sessions.c.payment_status == status)
    return [from_row(row) for row in await conn.execute(query)]


async def put(conn: AsyncConnection, values: dict[str, Any]) -> bool:
    """Insert a session; False where its id, Stripe's id, or the client's key is there already."""
    return bool(await insert_or_ignore(conn, sessions, [values]))


async def change(conn: AsyncConnection, session: Session, *, now: datetime, **values: Any) -> bool:
    """Change a session that is still as it was read; its version goes up by one. False: another changed it first."""
    result = await conn.execute(
        sa.update(sessions)
        .where(sessions.c.id == session.id, sessions.c.version == session.version)
        .values(version=session.version + 1, updated_at=now, **values)
    )
    return result.rowcount == 1


async def touch_asked(conn: AsyncConnection, ids: Sequence[str], now: datetime) -> None:
    """Remember that Stripe was asked, so that the next to be asked is another; no change that anyone sees."""
    await conn.execute(sa.update(sessions).where(sessions.c.id.in_(list(ids))).values(asked_at=now))


async def least_recently_asked(conn: AsyncConnection, before: datetime, limit: int) -> list[Session]:
    """Open sessions that Stripe was not asked about since `before`, the longest ago first."""
    statement = (
        sa.select(sessions)
        .where(
            sessions.c.payment_status.in_(OPEN), sessions.c.asked_at < before, sessions.c.stripe_session_id.is_not(None)
        )
        .order_by(sessions.c.asked_at)
        .limit(limit)
    )
    return [from_row(row) for row in await conn.execute(statement)]


async def lapsed(conn: AsyncConnection, now: datetime, limit: int) -> list[Session]:
    """Unpaid sessions whose time is over."""
    statement = (
        sa.select(sessions).where(sessions.c.payment_status.in_(UNPAID), sessions.c.expires_at < now).limit(limit)
    )
    return [from_row(row) for row in await conn.execute(statement)]


async def at_stripe(conn: AsyncConnection, stripe_ids: Collection[str]) -> dict[str, str]:
    """Return the payment status of each of these Stripe ids that is known here."""
    statement = sa.select(sessions.c.stripe_session_id, sessions.c.payment_status).where(
        sessions.c.stripe_session_id.in_(list(stripe_ids))
    )
    return {row.stripe_session_id: row.payment_status for row in await conn.execute(statement)}


async def any_complete(conn: AsyncConnection) -> bool:
    """Return whether a purchase was ever completed in this database."""
    statement = sa.select(sa.literal(1)).where(sessions.c.payment_status == "fulfillment_complete").limit(1)
    return (await conn.execute(statement)).first() is not None


async def forget_client_keys(conn: AsyncConnection, before: datetime, limit: int) -> int:
    """A client's key is replayed for 24 h; afterwards the same key may make a new session. At most `limit` rows; how many."""
    aged = sa.select(sessions.c.id).where(sessions.c.created_at < before, sessions.c.body_hash.is_not(None))
    aged = aged.order_by(sessions.c.created_at).limit(limit)
    if conn.dialect.name == "postgresql":
        aged = aged.with_for_update(skip_locked=True)
    result = await conn.execute(
        sa.update(sessions).where(sessions.c.id.in_(aged)).values(idempotency_hash=None, body_hash=None)
    )
    return result.rowcount
