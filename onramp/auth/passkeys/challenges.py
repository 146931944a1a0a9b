"""Challenges: made for one person, valid for minutes, used once."""

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.signed_plans.plan import Plan, plan_hash
from onramp.auth.passkeys import refusals
from onramp.auth.passkeys.table import ChallengeKind, passkey_challenges

LIFETIME: Final = timedelta(minutes=5)
"""How long a person may read a plan and touch the device."""
PERMISSION_LIFETIME: Final = timedelta(hours=24)
KEEP: Final = timedelta(days=1)
"""How long a challenge stays after it expired; a signature that counted is stored elsewhere."""
PERMISSION_PREFIX: Final = "opk_"

_C = passkey_challenges.c


async def add(
    conn: AsyncConnection,
    challenge_id: str,
    kind: ChallengeKind,
    *,
    person: str,
    challenge: bytes,
    by: str,
    now: datetime,
    lifetime: timedelta = LIFETIME,
) -> datetime:
    """Store a challenge without a plan; return when it expires."""
    expires_at = now + lifetime
    await conn.execute(
        sa.insert(passkey_challenges).values(
            id=challenge_id,
            kind=kind,
            person=person,
            challenge=challenge.hex(),
            created_by=by,
            created_at=now,
            expires_at=expires_at,
        )
    )
    return expires_at


async def add_plan(conn: AsyncConnection, challenge_id: str, plan: Plan, *, by: str, now: datetime) -> bytes:
    """Store the challenge of a plan; return the 32 bytes to sign."""
    text = plan.text()
    await conn.execute(
        sa.insert(passkey_challenges).values(
            id=challenge_id,
            kind=ChallengeKind.APPROVAL,
            person=plan.person,
            challenge=plan_hash(text).hex(),
            action=plan.action,
            subject=plan.subject,
            plan_text=text,
            nonce=plan.nonce,
            created_by=by,
            created_at=now,
            expires_at=plan.expires_at,
        )
    )
    return plan_hash(text)


async def find(conn: AsyncConnection, challenge_id: str, kind: ChallengeKind, person: str, now: datetime) -> Any:
    """Return the row of an open challenge of this person. Raises Problem 401 for another person's, an expired or a used one."""
    row = (await conn.execute(sa.select(passkey_challenges).where(_C.id == challenge_id, _C.kind == kind))).first()
    if row is None:
        raise refusals.invalid("There is no such challenge.")
    if row.person != person:
        raise refusals.invalid("This challenge was made for another person.")
    if row.used_at is not None or row.expires_at <= now:
        raise refusals.expired()
    return row


async def take(conn: AsyncConnection, challenge_id: str, now: datetime) -> None:
    """Use a challenge up. Raises Problem 401 if another request did so first, or it has expired."""
    is_open = sa.and_(_C.id == challenge_id, _C.used_at.is_(None), _C.expires_at > now)
    taken = await conn.execute(sa.update(passkey_challenges).where(is_open).values(used_at=now))
    if taken.rowcount != 1:
        raise refusals.expired()


async def take_permission(conn: AsyncConnection, secret: str, person: str, now: datetime) -> None:
    """Use an admin's permission to enrol. Raises Problem 401 for one that is unknown, another person's, expired or used."""
    digest = permission_hash(secret).hex()
    found = sa.select(_C.id).where(_C.kind == ChallengeKind.PERMISSION, _C.challenge == digest, _C.person == person)
    challenge_id = await conn.scalar(found)
    if challenge_id is None:
        raise refusals.invalid("This permission is unknown, or another person's.")
    await take(conn, challenge_id, now)


def permission_hash(secret: str) -> bytes:
    """Return the SHA-256 under which a permission is stored; its secret has 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


async def prune(conn: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` challenges that expired before `before`; return how many."""
    old = sa.select(_C.id).where(_C.expires_at < before).order_by(_C.expires_at).limit(limit)
    return (await conn.execute(sa.delete(passkey_challenges).where(_C.id.in_(old)))).rowcount
