"""Read and change sessions, inside the caller's transaction."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import is_address, to_checksum
from kit.db.commit_notes import note
from kit.db.inserts import insert_or_ignore
from kit.db.paging import Position, newest_first
from onramp.sessions.model import Session, from_row
from onramp.sessions.moves import moves_of
from onramp.sessions.states import OPEN, UNPAID
from onramp.sessions.status import DeliveryStatus, PaymentStatus
from onramp.sessions.table import sessions

MAX_FOUND: Final = 50
VERSIONS_SKIPPED: Final = 1_000
"""The increase of a session's version after a restore: more than the changes that a session can have had since the backup."""
RESTORED_BACK: Final = timedelta(days=7)
_HASH: Final = re.compile("0x[0-9a-f]{64}")
_BY_IDS = sa.select(sessions).where(sessions.c.id.in_(sa.bindparam("ids", expanding=True)))


async def get(conn: AsyncConnection, session_id: str) -> Session | None:
    """Return a session by our id; None if there is none."""
    row = (await conn.execute(sa.select(sessions).where(sessions.c.id == session_id))).one_or_none()
    return None if row is None else from_row(row)


async def get_many(conn: AsyncConnection, ids: Collection[str]) -> dict[str, Session]:
    """Return sessions by id; unknown ids are left out."""
    rows = await conn.execute(_BY_IDS, {"ids": list(ids)})
    return {row.id: from_row(row) for row in rows}


async def by_stripe_id(conn: AsyncConnection, stripe_session_id: str) -> Session | None:
    """Return a session by Stripe's id; None if there is none."""
    statement = sa.select(sessions).where(sessions.c.stripe_session_id == stripe_session_id)
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else from_row(row)


async def by_client_key(conn: AsyncConnection, wallet: str, idempotency_hash: str) -> Session | None:
    """Return the session that a client's idempotency key made for this wallet; None if there is none, or the key was forgotten."""
    statement = sa.select(sessions).where(
        sessions.c.wallet_address == wallet, sessions.c.idempotency_hash == idempotency_hash
    )
    row = (await conn.execute(statement)).one_or_none()
    return None if row is None else from_row(row)


async def find(conn: AsyncConnection, needle: str) -> list[Session]:
    """Return sessions by our id, Stripe's id, a wallet, a transaction hash or a reference, newest first, at most MAX_FOUND."""
    form = needle.lower()
    if is_address(form):
        of_wallet = sa.select(sessions).where(sessions.c.wallet_address == to_checksum(form))
        query = newest_first(of_wallet, sessions.c.created_at, sessions.c.id).limit(MAX_FOUND)
    elif _HASH.fullmatch(form):
        query = sa.select(sessions).where(sessions.c.tx_hash == form)
    else:
        query = sa.select(sessions).where(sa.or_(sessions.c.id == needle, sessions.c.stripe_session_id == needle))
    matches = [from_row(row) for row in (await conn.execute(query)).fetchall()]
    if not matches:
        return await newest(conn, MAX_FOUND, reference=needle)
    return sorted(matches, key=lambda session: session.created_at, reverse=True)[:MAX_FOUND]


async def newest(
    conn: AsyncConnection,
    limit: int,
    status: str | None = None,
    before: Position | None = None,
    *,
    wallet: str | None = None,
    reference: str | None = None,
) -> list[Session]:
    """Return up to `limit` sessions, newest first: optionally of one payment status, wallet (EIP-55) or reference.

    With `before`, those after that position of the list.
    """
    query = newest_first(sa.select(sessions), sessions.c.created_at, sessions.c.id, before).limit(limit)
    filters = {"payment_status": status, "wallet_address": wallet, "reference": reference}
    for name, value in filters.items():
        if value is not None:
            query = query.where(sessions.c[name] == value)
    return [from_row(row) for row in await conn.execute(query)]


async def put(conn: AsyncConnection, values: dict[str, Any]) -> bool:
    """Insert a session. Return False, changing nothing, if its id, Stripe's id, or the client's key exists already."""
    is_new = bool(await insert_or_ignore(conn, sessions, [values]))
    if is_new:
        for move in moves_of(values):
            note(conn, move)
    return is_new


async def change(conn: AsyncConnection, session: Session, *, now: datetime, **values: Any) -> bool:
    """Change a session that is unchanged since it was read, and increment its version. Return False, changing nothing, if it was changed meanwhile."""
    result = await conn.execute(
        sa.update(sessions)
        .where(sessions.c.id == session.id, sessions.c.version == session.version)
        .values(version=session.version + 1, updated_at=now, **values)
    )
    if result.rowcount != 1:
        return False
    for move in moves_of(values):
        note(conn, move)
    return True


async def touch_asked(conn: AsyncConnection, ids: Sequence[str], now: datetime) -> None:
    """Record that Stripe was asked about these sessions, so that others are next. The version does not change."""
    await conn.execute(sa.update(sessions).where(sessions.c.id.in_(list(ids))).values(asked_at=now))


async def skip_versions(conn: AsyncConnection, now: datetime) -> None:
    """After a restore, increase the version of the sessions that can still change above every version that was shown before it.

    States that were shown and then lost have versions above the restored one. Unpaid sessions that ended more than RESTORED_BACK before
    keep their version: a large past would take long, and hardly any of them changed since.
    """
    ended = sessions.c.payment_status.in_((PaymentStatus.EXPIRED, PaymentStatus.REJECTED))
    await conn.execute(
        sa.update(sessions)
        .where(
            sessions.c.delivery_status != DeliveryStatus.CONFIRMED,
            sa.or_(~ended, sessions.c.updated_at > now - RESTORED_BACK),
        )
        .values(version=sessions.c.version + VERSIONS_SKIPPED)
    )


async def least_recently_asked(conn: AsyncConnection, before: datetime, limit: int) -> list[Session]:
    """Return up to `limit` open sessions about which Stripe was last asked before `before`, the least recent first."""
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
    """Return up to `limit` unpaid sessions that should have expired by `now`."""
    statement = (
        sa.select(sessions).where(sessions.c.payment_status.in_(UNPAID), sessions.c.expires_at < now).limit(limit)
    )
    return [from_row(row) for row in await conn.execute(statement)]


async def payment_statuses(conn: AsyncConnection, stripe_ids: Collection[str]) -> dict[str, PaymentStatus]:
    """Return the payment status of each of these Stripe ids that has a row here; others are left out."""
    statement = sa.select(sessions.c.stripe_session_id, sessions.c.payment_status).where(
        sessions.c.stripe_session_id.in_(list(stripe_ids))
    )
    return {row.stripe_session_id: PaymentStatus(row.payment_status) for row in await conn.execute(statement)}


async def any_complete(conn: AsyncConnection) -> bool:
    """Return whether this database has ever completed a purchase."""
    completed = sessions.c.payment_status == PaymentStatus.FULFILLMENT_COMPLETE
    return (await conn.execute(sa.select(sa.literal(1)).where(completed).limit(1))).first() is not None


async def forget_client_keys(conn: AsyncConnection, before: datetime, limit: int) -> int:
    """Forget the client keys of at most `limit` sessions created before `before`; return how many.

    A key is replayed for 24 h; afterwards the same key may create a new session.
    """
    aged = sa.select(sessions.c.id).where(sessions.c.created_at < before, sessions.c.body_hash.is_not(None))
    aged = aged.order_by(sessions.c.created_at).limit(limit)
    if conn.dialect.name == "postgresql":
        aged = aged.with_for_update(skip_locked=True)
    result = await conn.execute(
        sa.update(sessions).where(sessions.c.id.in_(aged)).values(idempotency_hash=None, body_hash=None)
    )
    return result.rowcount
