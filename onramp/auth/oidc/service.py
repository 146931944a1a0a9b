"""Operations on the provider's persons, each in the caller's open transaction."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.db.inserts import insert_or_ignore
from kit.db.paging import Position, newest_first
from kit.http.problems import not_found
from onramp.auth.console_sessions import service as console_sessions_service
from onramp.auth.oidc.table import oidc_identities

PREFIX: Final = "oid_"
MAX_NAME: Final = 80


@dataclass(frozen=True, slots=True)
class Identity:
    """A person of the provider who has logged in."""

    id: str
    issuer: str
    subject: str
    person: str
    """Who it is, as of the last login: the configured name, or the id."""
    name: str | None
    """What the provider calls the person; it may change, and nothing depends on it."""
    created_at: datetime
    """The time of the first login."""
    last_login_at: datetime
    revoked_at: datetime | None


def identity_id(issuer: str, subject: str) -> str:
    """Return the id of a person: issuer and `sub` alone decide it, so that it is the same after the loss of a database.

    The length of the issuer is hashed as well, so that no other pair has the same text.
    """
    digest = hashlib.sha256(f"{len(issuer)}:{issuer}{subject}".encode()).hexdigest()
    return PREFIX + digest[:32]


async def note_login(
    conn: AsyncConnection, issuer: str, claims: Mapping[str, Any], names: Mapping[str, str], now: datetime
) -> Identity:
    """Store that a person has logged in, and return the person. `names` are the configured names: subject -> name."""
    subject = claims["sub"]
    found = identity_id(issuer, subject)
    values = {"person": names.get(subject, found), "name": _display(claims), "last_login_at": now}
    row = {"id": found, "issuer": issuer, "subject": subject, "first_login_at": now, **values}
    if not await insert_or_ignore(conn, oidc_identities, [row]):
        await conn.execute(sa.update(oidc_identities).where(oidc_identities.c.id == found).values(**values))
    return await get(conn, found)


def _display(claims: Mapping[str, Any]) -> str | None:
    name = claims.get("name") or claims.get("preferred_username")
    if not isinstance(name, str):
        return None
    return "".join(letter for letter in name if letter.isprintable())[:MAX_NAME] or None


async def get(conn: AsyncConnection, found: str) -> Identity:
    """Return one person of the provider. Raises Problem 404 if nobody has this id."""
    row = (await conn.execute(sa.select(oidc_identities).where(oidc_identities.c.id == found))).first()
    if row is None:
        raise not_found("person of the provider")
    return _identity(row)


async def newest(conn: AsyncConnection, *, limit: int, before: Position | None = None) -> list[Identity]:
    """Return up to `limit` persons, by their first login, newest first."""
    c = oidc_identities.c
    query = newest_first(sa.select(oidc_identities), c.first_login_at, c.id, before).limit(limit)
    return [_identity(row) for row in await conn.execute(query)]


async def revoke(conn: AsyncConnection, found: str, *, by: str, now: datetime) -> Identity:
    """End a person's sessions at once, and refuse further logins. A repeated call changes nothing. Raises Problem 404 for an unknown id."""
    c = oidc_identities.c
    still = sa.and_(c.id == found, c.revoked_at.is_(None))
    changed = await conn.execute(sa.update(oidc_identities).where(still).values(revoked_at=now, revoked_by=by))
    if changed.rowcount == 1:
        await console_sessions_service.end_of_identity(conn, found, by=by, now=now)
        await audit_service.record(
            conn, by, "console.person_revoke", found, {"revoked": False}, {"revoked": True}, at=now
        )
    return await get(conn, found)


async def restore(conn: AsyncConnection, found: str, *, by: str, now: datetime) -> Identity:
    """Let a revoked person log in again; sessions that have ended stay ended. Raises Problem 404 for an unknown id."""
    c = oidc_identities.c
    revoked = sa.and_(c.id == found, c.revoked_at.is_not(None))
    changed = await conn.execute(sa.update(oidc_identities).where(revoked).values(revoked_at=None, revoked_by=None))
    if changed.rowcount == 1:
        await audit_service.record(
            conn, by, "console.person_restore", found, {"revoked": True}, {"revoked": False}, at=now
        )
    return await get(conn, found)


def _identity(row: Any) -> Identity:
    return Identity(
        row.id, row.issuer, row.subject, row.person, row.name, row.first_login_at, row.last_login_at, row.revoked_at
    )
