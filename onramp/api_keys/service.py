"""The verbs of API keys, each in the caller's open transaction, each with its row in the audit trail."""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as trail
from kit.auth import Principal, Role
from kit.ids import random_secret
from kit.keyring import KeyRing
from kit.problems import Problem, not_found
from kit.store import newest_first
from onramp.api_keys.table import api_key_secrets, api_keys

PREFIX: Final = "ork_"
WAIT: Final = timedelta(hours=24)
"""How long a new secret that may move money waits in production, unless an approver confirms it."""
OVERLAP: Final = timedelta(hours=24)
MOVES_MONEY: Final = frozenset({"operator", "approver"})
FREE_KEYS: Final = 2
"""The first keys that may move money work at once: somebody must be there to confirm the others."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    id: str
    name: str
    role: Role
    person: str
    created_at: datetime
    created_by: str
    active_from: datetime
    """When its newest secret works; in the past for most."""
    confirmed_by: str | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    second_factor: bool


@dataclass(frozen=True, slots=True)
class Author:
    """Who orders a change, and when."""

    id: str
    """A key's id, or `machine`."""
    now: datetime
    is_production: bool


def same_person(text: str) -> str:
    """A person's name as it is compared: whoever is written `Ada` for one key and `ada` for another must not approve alone."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def new_secret() -> str:
    """256 random bits behind a prefix that scanners for leaked secrets can find."""
    return random_secret(PREFIX)


def hashes(ring: KeyRing, secret: str) -> list[str]:
    """The keyed hashes under which a secret may be stored, the current one first."""
    return ring.macs("api-keys", secret)


async def create(
    connection: AsyncConnection,
    author: Author,
    *,
    key_id: str,
    secret: str,
    ring: KeyRing,
    role: Role,
    name: str,
    person: str,
) -> ApiKey:
    """Store a new key; in production one that may move money waits 24 h or for an approver, the first two excepted."""
    wait = timedelta(0)
    if author.is_production and role in MOVES_MONEY:
        await _one_at_a_time(connection)
        counted = sa.select(sa.func.count()).where(api_keys.c.role.in_(MOVES_MONEY))
        if (await connection.execute(counted)).scalar_one() >= FREE_KEYS:
            wait = WAIT
    await connection.execute(
        sa.insert(api_keys).values(
            id=key_id, name=name, role=role, person=person, created_at=author.now, created_by=author.id
        )
    )
    await _add_secret(connection, author, key_id, secret, ring, wait)
    after = {"role": role, "name": name, "person": person, "active_from": author.now + wait}
    await trail.record(connection, author.id, "key.create", key_id, None, after, at=author.now)
    return await get(connection, key_id)


async def rotate(
    connection: AsyncConnection, author: Author, key_id: str, *, secret: str, ring: KeyRing, overlap: timedelta
) -> ApiKey:
    """Give the key a new secret; the old one works on for `overlap`, counted from when the new one works.

    In production the new secret of a key that may move money waits like a new key's: whoever rotates it learns it, and an
    admin must not come to move money that way.
    """
    await _one_at_a_time(connection)
    key = await get(connection, key_id)
    if key.revoked_at is not None:
        raise Problem(409, "key_revoked", "This key is revoked. Create a new one.")
    wait = WAIT if author.is_production and key.role in MOVES_MONEY else timedelta(0)
    ends = author.now + wait + overlap
    still = sa.or_(api_key_secrets.c.expires_at.is_(None), api_key_secrets.c.expires_at > ends)
    await connection.execute(
        sa.update(api_key_secrets).where(api_key_secrets.c.key_id == key_id, still).values(expires_at=ends)
    )
    await _add_secret(connection, author, key_id, secret, ring, wait)
    after = {"active_from": author.now + wait, "old_until": ends}
    await trail.record(connection, author.id, "key.rotate", key_id, None, after, at=author.now)
    return await get(connection, key_id)


async def revoke(connection: AsyncConnection, author: Author, key_id: str) -> ApiKey:
    """Refuse the key from now on, everywhere within seconds; the same answer when it was revoked before."""
    revoked = await connection.execute(
        sa.update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=author.now)
    )
    if revoked.rowcount == 1:
        await trail.record(
            connection, author.id, "key.revoke", key_id, {"revoked": False}, {"revoked": True}, at=author.now
        )
    return await get(connection, key_id)


async def confirm(connection: AsyncConnection, author: Author, approver: Principal, key_id: str) -> ApiKey:
    """End the wait of a new secret: an approver of another person than the key's says that it is meant."""
    key = await get(connection, key_id)
    if key.revoked_at is not None:
        raise Problem(409, "key_revoked", "This key is revoked. Create a new one.")
    if approver.person == same_person(key.person) or approver.id == key_id:
        raise Problem(409, "self_approval", "An approver of another person must confirm this key.")
    waiting = sa.and_(api_key_secrets.c.key_id == key_id, api_key_secrets.c.active_from > author.now)
    ended = await connection.execute(sa.update(api_key_secrets).where(waiting).values(active_from=author.now))
    if ended.rowcount:
        await connection.execute(sa.update(api_keys).where(api_keys.c.id == key_id).values(confirmed_by=approver.id))
        before = {"active_from": key.active_from}
        await trail.record(
            connection, author.id, "key.confirm", key_id, before, {"active_from": author.now}, at=author.now
        )
    return await get(connection, key_id)


async def get(connection: AsyncConnection, key_id: str) -> ApiKey:
    """One key; Problem 404 where there is none."""
    found = [_key(row) for row in await connection.execute(_keys().where(api_keys.c.id == key_id))]
    if not found:
        raise not_found("API key")
    return found[0]


async def newest(connection: AsyncConnection, *, limit: int, before: str | None = None) -> Sequence[ApiKey]:
    """Keys, the newest first; those older than key `before` where given."""
    query = newest_first(_keys(), api_keys.c.created_at, api_keys.c.id, before).limit(limit)
    return [_key(row) for row in await connection.execute(query)]


@dataclass(frozen=True, slots=True)
class Found:
    """What a secret stands for, and from when."""

    principal: Principal
    active_from: datetime


async def resolve(connection: AsyncConnection, candidates: Sequence[str], now: datetime) -> dict[str, Found]:
    """What these hashes stand for; revoked keys and secrets past their overlap are left out.

    One query finds or does not find; a revoked key is not found in the same time as one that never was.
    """
    rows = await connection.execute(
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
            Principal(row.id, row.role, same_person(row.person), row.otp_enrolled_at is not None), row.active_from
        )
        for row in rows
    }


async def was_made(connection: AsyncConnection, by: str, role: Role) -> bool:
    """Whether this author ever made a key of this role, revoked ones included."""
    found = sa.select(api_keys.c.id).where(api_keys.c.created_by == by, api_keys.c.role == role).limit(1)
    return (await connection.execute(found)).first() is not None


async def prune(connection: AsyncConnection, now: datetime) -> int:
    """Drop the hashes of secrets whose overlap is over; how many. A key's newest secret has no end and stays."""
    return (await connection.execute(sa.delete(api_key_secrets).where(api_key_secrets.c.expires_at < now))).rowcount


async def touch(connection: AsyncConnection, used: Collection[str], now: datetime) -> None:
    """Remember that these keys were used; never goes back. In one order, so that two processes do not wait for each other."""
    for key_id in sorted(used):
        older = sa.or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < now)
        await connection.execute(sa.update(api_keys).where(api_keys.c.id == key_id, older).values(last_used_at=now))


async def _one_at_a_time(connection: AsyncConnection) -> None:
    """Of creations side by side not each may count itself among the first; of rotations, each must end the secret of the one before.

    SQLite's writers are alone anyway.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(0x6B657973)))


async def _add_secret(
    connection: AsyncConnection, author: Author, key_id: str, secret: str, ring: KeyRing, wait: timedelta
) -> None:
    await connection.execute(
        sa.insert(api_key_secrets).values(
            id=hashes(ring, secret)[0], key_id=key_id, created_at=author.now, active_from=author.now + wait
        )
    )


def _keys() -> "sa.Select[Any]":
    newest_secret = (
        sa.select(sa.func.max(api_key_secrets.c.active_from))
        .where(api_key_secrets.c.key_id == api_keys.c.id)
        .scalar_subquery()
    )
    return sa.select(api_keys, newest_secret.label("active_from"))


def _key(row: Any) -> ApiKey:
    return ApiKey(
        row.id,
        row.name,
        row.role,
        row.person,
        row.created_at,
        row.created_by,
        row.active_from,
        row.confirmed_by,
        row.last_used_at,
        row.revoked_at,
        row.otp_enrolled_at is not None,
    )
