"""The verbs of API keys, each in the caller's open transaction, each with its row in the audit trail."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.clock import rfc3339
from kit.crypto.keyring import KeyRing
from kit.db.paging import newest_first
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
"""The first keys that may move money work at once: somebody must be there to confirm the others."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who orders a change, and when."""

    id: str
    """A key's id, or `machine`."""
    now: datetime
    is_production: bool


def new_secret() -> str:
    """256 random bits behind a prefix that scanners for leaked secrets can find."""
    return random_secret(PREFIX)


def hashes(ring: KeyRing, secret: str) -> list[str]:
    """The keyed hashes under which a secret may be stored, the current one first."""
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
    """Store a new key; in production one that may move money waits 24 h or for an approver, the first two excepted.

    `made_for`: persons who stand behind it beside the author, such as those behind the invitation that it comes from.
    Raises Problem 422 where `person` is a name that could pass for another one.
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
    """Give the key a new secret; the old one works on for `overlap`, counted from when the new one works.

    In production the new secret of a key that may move money waits like a new key's: whoever rotates it learns it, and an
    admin must not come to move money that way.
    """
    await one_at_a_time(conn)
    key = await _working(conn, key_id)
    wait = WAIT if author.is_production and key.role in MOVES_MONEY else timedelta(0)
    # Before the other secrets end: whoever made one of them may be the one who rotates.
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
    """Refuse the key from now on, everywhere within seconds; the same answer when it was revoked before."""
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
    """End the wait of a key's newest secret: an approver says that it is meant. An earlier one that waits goes on waiting.

    The approver is another person than the key's and than everybody behind its making. `made_at`: when the secret that the
    approver looked at was made, as the key's answer says it; Problem 409 `key_changed` where the key has a newer one.
    """
    await one_at_a_time(conn)
    key = await _working(conn, key_id)
    if made_at is not None and made_at != rfc3339(key.made_at):
        raise Problem(
            409,
            "key_changed",
            "This key got another secret since you looked at it. Nothing was confirmed; look at it again.",
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
    """One key; Problem 404 where there is none."""
    found = [to_key(row) for row in await conn.execute(keys_query().where(api_keys.c.id == key_id))]
    if not found:
        raise not_found("API key")
    return found[0]


async def newest(conn: AsyncConnection, *, limit: int, before: str | None = None) -> Sequence[ApiKey]:
    """Keys, the newest first; those older than key `before` where given."""
    query = newest_first(keys_query(), api_keys.c.created_at, api_keys.c.id, before).limit(limit)
    return [to_key(row) for row in await conn.execute(query)]


@dataclass(frozen=True, slots=True)
class Found:
    """What a secret stands for, and from when."""

    principal: Principal
    active_from: datetime


async def resolve(conn: AsyncConnection, candidates: Sequence[str], now: datetime) -> dict[str, Found]:
    """What these hashes stand for; revoked keys and secrets past their overlap are left out.

    One query finds or does not find; a revoked key is not found in the same time as one that never was.
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
    """Whether this author ever made a key of this role, revoked ones included."""
    found = sa.select(api_keys.c.id).where(api_keys.c.created_by == by, api_keys.c.role == role).limit(1)
    return (await conn.execute(found)).first() is not None


async def prune(conn: AsyncConnection, now: datetime) -> int:
    """Drop the hashes of secrets whose overlap is over; how many. A key's newest secret has no end and stays."""
    return (await conn.execute(sa.delete(api_key_secrets).where(api_key_secrets.c.expires_at < now))).rowcount


async def touch(conn: AsyncConnection, used: Collection[str], now: datetime) -> None:
    """Remember that these keys were used; never goes back. In one order, so that two processes do not wait for each other."""
    for key_id in sorted(used):
        older = sa.or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < now)
        await conn.execute(sa.update(api_keys).where(api_keys.c.id == key_id, older).values(last_used_at=now))


async def one_at_a_time(conn: AsyncConnection) -> None:
    """Of creations side by side not each may count itself among the first; of rotations, each must end the secret of the one before.

    SQLite's writers are alone anyway.
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
