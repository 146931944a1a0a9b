"""Operations on API keys, each in the caller's open transaction, each with its audit row."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.clock import rfc3339
from kit.crypto.keyring import KeyRing
from kit.db.paging import Position, newest_first
from kit.http.problems import Problem, not_found
from kit.ids import random_secret
from kit.persons import comparable, same_person
from onramp.auth.api_keys import makers, person_names
from onramp.auth.api_keys.model import ApiKey, keys_query, to_key
from onramp.auth.api_keys.table import api_key_secrets, api_keys
from onramp.auth.roles import Principal, Role

PREFIX: Final = "ork_"
WAIT: Final = timedelta(hours=24)
"""How long a new secret that may move money waits in production, unless an approver confirms it."""
OVERLAP: Final = timedelta(hours=24)
MOVES_MONEY: Final = frozenset({"operator", "approver"})
FREE_KEYS: Final = 2
"""How many of the first keys that may move money work at once: only later ones have an approver who can confirm them."""


@dataclass(frozen=True, slots=True)
class Author:
    """The maker of a change, and its time."""

    id: str
    """The id of a key, or `machine` for the local operator."""
    now: datetime
    is_production: bool


def new_secret() -> str:
    """Return 256 random bits with a prefix that scanners for leaked secrets can recognize."""
    return random_secret(PREFIX)


def hashes(ring: KeyRing, secret: str) -> list[str]:
    """Return the keyed hashes under which a secret may be stored, the current one first."""
    return ring.macs("api-keys", secret)


async def create(
    conn: AsyncConnection,
    author: Author,
    *,
    key_id: str,
    secret: str,
    ring: KeyRing,
    role: Role,
    name: str,
    person: str,
    made_for: frozenset[str] = frozenset(),
) -> ApiKey:
    """Store a new key. In production a key that may move money works after 24 h, or once an approver confirms it; the first two work at once.

    `made_for` are makers besides the author, such as those of the invitation that the key comes from. Raises Problem 422 if `person` could
    be mistaken for another person.
    """
    await one_at_a_time(conn)
    await person_names.require(conn, person)
    wait = timedelta(0)
    if author.is_production and role in MOVES_MONEY:
        counted = sa.select(sa.func.count()).where(api_keys.c.role.in_(MOVES_MONEY))
        if (await conn.execute(counted)).scalar_one() >= FREE_KEYS:
            wait = WAIT
    persons = sorted(made_for | await makers.behind(conn, author.id, author.now))
    await conn.execute(
        sa.insert(api_keys).values(
            id=key_id,
            name=name,
            role=role,
            person=person,
            created_at=author.now,
            created_by=author.id,
            makers=persons,
        )
    )
    await _add_secret(conn, author, key_id, secret, ring, wait, persons)
    after = {"role": role, "name": name, "person": person, "active_from": author.now + wait, "makers": persons}
    await audit_service.record(conn, author.id, "key.create", key_id, None, after, at=author.now)
    return await get(conn, key_id)


async def rotate(
    conn: AsyncConnection, author: Author, key_id: str, *, secret: str, ring: KeyRing, overlap: timedelta
) -> ApiKey:
    """Give the key a new secret; the old one still works for `overlap`, counted from when the new one begins to work.

    In production the new secret of a key that may move money waits like that of a new key: the person who rotates it learns it,
    and an admin must not be able to move money that way. Raises Problem 404 for an unknown key, 409 for a revoked one.
    """
    await one_at_a_time(conn)
    key = await _working(conn, key_id)
    wait = WAIT if author.is_production and key.role in MOVES_MONEY else timedelta(0)
    # Read before the other secrets end, because their makers may be the ones who rotate the key.
    persons = sorted(await makers.behind(conn, author.id, author.now))
    ends = author.now + wait + overlap
    still = sa.or_(api_key_secrets.c.expires_at.is_(None), api_key_secrets.c.expires_at > ends)
    await conn.execute(
        sa.update(api_key_secrets).where(api_key_secrets.c.key_id == key_id, still).values(expires_at=ends)
    )
    await _add_secret(conn, author, key_id, secret, ring, wait, persons)
    await conn.execute(sa.update(api_keys).where(api_keys.c.id == key_id).values(confirmed_by=None))
    after = {"active_from": author.now + wait, "old_until": ends, "makers": persons}
    await audit_service.record(conn, author.id, "key.rotate", key_id, None, after, at=author.now)
    return await get(conn, key_id)


async def revoke(conn: AsyncConnection, author: Author, key_id: str) -> ApiKey:
    """Revoke the key; it is refused everywhere within seconds. A repeated call changes nothing."""
    revoked = await conn.execute(
        sa.update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=author.now)
    )
    if revoked.rowcount == 1:
        await audit_service.record(
            conn, author.id, "key.revoke", key_id, {"revoked": False}, {"revoked": True}, at=author.now
        )
    return await get(conn, key_id)


async def confirm(
    conn: AsyncConnection, author: Author, approver: Principal, key_id: str, *, made_at: str | None = None
) -> ApiKey:
    """Let a key's newest secret work at once; an earlier secret that waits keeps waiting.

    The approver must be neither the key's person nor one of its makers: Problem 409 `self_approval`. `made_at` is when the secret
    that the approver saw was made, as in the key's response: Problem 409 `key_changed` if the key has a newer one.
    """
    await one_at_a_time(conn)
    key = await _working(conn, key_id)
    if made_at is not None and made_at != rfc3339(key.made_at):
        raise Problem(
            409,
            "key_changed",
            "This key has a newer secret than the one you saw. Nothing was confirmed; read the key again.",
        )
    if same_person(approver.person, key.person) or approver.id == key_id:
        raise Problem(409, "self_approval", "This key is yours. An approver of another person must confirm it.")
    if makers.includes(await makers.of_key(conn, key_id, author.now), approver.person):
        raise Problem(
            409,
            "self_approval",
            "You made this key or its newest secret, or made the key that did. Another person must confirm it.",
        )
    newest = sa.and_(api_key_secrets.c.key_id == key_id, api_key_secrets.c.expires_at.is_(None))
    waiting = sa.and_(newest, api_key_secrets.c.active_from > author.now)
    values = {"active_from": author.now, "confirmed_by": approver.id}
    ended = await conn.execute(sa.update(api_key_secrets).where(waiting).values(**values))
    if ended.rowcount:
        await conn.execute(sa.update(api_keys).where(api_keys.c.id == key_id).values(confirmed_by=approver.id))
        before = {"active_from": key.active_from}
        await audit_service.record(
            conn, author.id, "key.confirm", key_id, before, {"active_from": author.now}, at=author.now
        )
    return await get(conn, key_id)


async def _working(conn: AsyncConnection, key_id: str) -> ApiKey:
    key = await get(conn, key_id)
    if key.revoked_at is not None:
        raise Problem(409, "key_revoked", "This key is revoked. Create a new one.")
    return key


async def get(conn: AsyncConnection, key_id: str) -> ApiKey:
    """Return one key. Raises Problem 404 if no key has this id."""
    found = [to_key(row) for row in await conn.execute(keys_query().where(api_keys.c.id == key_id))]
    if not found:
        raise not_found("API key")
    return found[0]


async def newest(conn: AsyncConnection, *, limit: int, before: Position | None = None) -> Sequence[ApiKey]:
    """Return up to `limit` keys, newest first; with `before`, those after that position of the list."""
    query = newest_first(keys_query(), api_keys.c.created_at, api_keys.c.id, before).limit(limit)
    return [to_key(row) for row in await conn.execute(query)]


async def unconfirmed(conn: AsyncConnection, now: datetime) -> list[ApiKey]:
    """Return the keys whose newest secret does not work yet, and which an approver may confirm, the oldest first."""
    query = keys_query().where(api_keys.c.revoked_at.is_(None), api_key_secrets.c.active_from > now)
    return [to_key(row) for row in await conn.execute(query.order_by(api_keys.c.created_at, api_keys.c.id))]


@dataclass(frozen=True, slots=True)
class Found:
    """The caller that a secret belongs to, and when it begins to work."""

    principal: Principal
    active_from: datetime


async def resolve(conn: AsyncConnection, candidates: Sequence[str], now: datetime) -> dict[str, Found]:
    """Return hash -> caller; revoked keys and secrets whose overlap has ended are left out.

    One query finds all of them, so a revoked key takes the same time as an unknown one.
    """
    rows = await conn.execute(
        sa.select(
            api_key_secrets.c.id.label("hash"),
            api_key_secrets.c.active_from,
            api_keys.c.id,
            api_keys.c.role,
            api_keys.c.person,
            api_keys.c.otp_enrolled_at,
        )
        .join(api_keys, api_keys.c.id == api_key_secrets.c.key_id)
        .where(
            api_key_secrets.c.id.in_(list(candidates)),
            api_keys.c.revoked_at.is_(None),
            sa.or_(api_key_secrets.c.expires_at.is_(None), api_key_secrets.c.expires_at > now),
        )
    )
    return {
        row.hash: Found(
            Principal(row.id, row.role, comparable(row.person), row.otp_enrolled_at is not None), row.active_from
        )
        for row in rows
    }


async def was_made(conn: AsyncConnection, by: str, role: Role) -> bool:
    """Return whether this author ever made a key with this role, including revoked ones."""
    found = sa.select(api_keys.c.id).where(api_keys.c.created_by == by, api_keys.c.role == role).limit(1)
    return (await conn.execute(found)).first() is not None


async def prune(conn: AsyncConnection, now: datetime) -> int:
    """Delete the hashes of secrets whose overlap has ended; return how many. A key's newest secret has no end and stays."""
    return (await conn.execute(sa.delete(api_key_secrets).where(api_key_secrets.c.expires_at < now))).rowcount


async def touch(conn: AsyncConnection, used: Collection[str], now: datetime) -> None:
    """Store when these keys were last used; an earlier time than is stored changes nothing. Sorted, so that two processes cannot deadlock."""
    for key_id in sorted(used):
        older = sa.or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < now)
        await conn.execute(sa.update(api_keys).where(api_keys.c.id == key_id, older).values(last_used_at=now))


async def one_at_a_time(conn: AsyncConnection) -> None:
    """Serialize key creation and rotation until the transaction ends.

    Concurrent creations must not both count as one of the first keys, and each rotation must end the previous secret. SQLite allows
    only one writer anyway.
    """
    if conn.dialect.name == "postgresql":
        await conn.execute(sa.select(sa.func.pg_advisory_xact_lock(0x6B657973)))


async def _add_secret(
    conn: AsyncConnection,
    author: Author,
    key_id: str,
    secret: str,
    ring: KeyRing,
    wait: timedelta,
    persons: list[str],
) -> None:
    await conn.execute(
        sa.insert(api_key_secrets).values(
            id=hashes(ring, secret)[0],
            key_id=key_id,
            created_at=author.now,
            active_from=author.now + wait,
            made_by=author.id,
            makers=persons,
        )
    )
