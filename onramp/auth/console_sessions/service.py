"""Operations on console sessions, each in the caller's open transaction, those that change something with an audit row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.crypto.keyring import KeyRing
from kit.db.paging import Position, newest_first
from kit.http.problems import not_found
from kit.ids import random_secret
from onramp.auth.console_sessions.model import LIFETIME, ConsoleSession, sessions_query, to_session
from onramp.auth.console_sessions.table import console_sessions

PREFIX: Final = "ocs_"
PURPOSE: Final = "console-sessions"
KEEP: Final = timedelta(days=30)
"""How long the row of a session is kept after its end; the audit trail keeps login and logout."""


@dataclass(frozen=True, slots=True)
class OidcPersons:
    """What the OIDC settings say about persons."""

    configuration: str = ""
    """The hash of the OIDC settings; a session that was made under others has ended."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Subject -> the name of the person."""


@dataclass(frozen=True, slots=True)
class KeyLogin:
    """Who logs in by an API key."""

    key_id: str
    secret_hash: str
    """The stored hash of the secret that the person pasted."""


@dataclass(frozen=True, slots=True)
class OidcLogin:
    """Who logs in through the provider."""

    identity_id: str
    role: str
    configuration: str


def new_secret() -> str:
    """Return 256 random bits with a prefix by which logs redact it."""
    return random_secret(PREFIX)


def hashes(ring: KeyRing, secret: str) -> list[str]:
    """Return the keyed hashes under which a session may be stored, the current one first."""
    return ring.macs(PURPOSE, secret)


async def begin(
    conn: AsyncConnection, session_id: str, secret: str, login: KeyLogin | OidcLogin, ring: KeyRing, now: datetime
) -> None:
    """Store a new session."""
    values: dict[str, Any] = {
        "id": session_id,
        "secret_hash": hashes(ring, secret)[0],
        "created_at": now,
        "last_used_at": now,
        "expires_at": now + LIFETIME,
    }
    match login:
        case KeyLogin():
            values |= {"method": "key", "key_id": login.key_id, "key_secret_hash": login.secret_hash}
            actor = login.key_id
        case OidcLogin():
            values |= {"method": "oidc", "identity_id": login.identity_id}
            values |= {"role": login.role, "configuration": login.configuration}
            actor = login.identity_id
    await conn.execute(sa.insert(console_sessions).values(**values))
    after = {"method": values["method"], "expires_at": now + LIFETIME}
    await audit_service.record(conn, actor, "console.login", session_id, None, after, at=now)


async def find(
    conn: AsyncConnection, candidates: Sequence[str], persons: OidcPersons, now: datetime
) -> ConsoleSession | None:
    """Return the valid session with one of these hashes of its secret; None if no valid session has one."""
    query = sessions_query(persons.configuration, now).where(console_sessions.c.secret_hash.in_(list(candidates)))
    row = (await conn.execute(query)).first()
    return None if row is None else to_session(row, persons.names)


async def get(conn: AsyncConnection, session_id: str, persons: OidcPersons, now: datetime) -> ConsoleSession | None:
    """Return a valid session by its id; None if no valid session has it."""
    query = sessions_query(persons.configuration, now).where(console_sessions.c.id == session_id)
    row = (await conn.execute(query)).first()
    return None if row is None else to_session(row, persons.names)


async def newest(
    conn: AsyncConnection,
    persons: OidcPersons,
    now: datetime,
    *,
    caller_id: str | None,
    limit: int,
    before: Position | None = None,
) -> list[ConsoleSession]:
    """Return up to `limit` valid sessions, newest first: those of the key or provider's person `caller_id`, or all if it is None."""
    c = console_sessions.c
    query = sessions_query(persons.configuration, now)
    if caller_id is not None:
        query = query.where(sa.or_(c.key_id == caller_id, c.identity_id == caller_id))
    query = newest_first(query, c.created_at, c.id, before).limit(limit)
    return [to_session(row, persons.names) for row in await conn.execute(query)]


async def end(conn: AsyncConnection, session_id: str, *, by: str, action: str, now: datetime) -> None:
    """End a session at once; a repeated call changes nothing. `action` is the audit row's, `console.logout` or `console.end`.

    Raises Problem 404 if no session has this id.
    """
    c = console_sessions.c
    open_session = sa.and_(c.id == session_id, c.ended_at.is_(None))
    ended = await conn.execute(sa.update(console_sessions).where(open_session).values(ended_at=now, ended_by=by))
    if ended.rowcount == 1:
        await audit_service.record(conn, by, action, session_id, {"ended": False}, {"ended": True}, at=now)
    elif (await conn.execute(sa.select(c.id).where(c.id == session_id))).first() is None:
        raise not_found("console session")


async def end_of_identity(conn: AsyncConnection, identity_id: str, *, by: str, now: datetime) -> None:
    """End all sessions of a provider's person; the caller writes the audit row."""
    c = console_sessions.c
    theirs = sa.and_(c.identity_id == identity_id, c.ended_at.is_(None))
    await conn.execute(sa.update(console_sessions).where(theirs).values(ended_at=now, ended_by=by))


async def touch(conn: AsyncConnection, session_id: str, now: datetime) -> None:
    """Store that a session was used; an earlier time than is stored changes nothing."""
    c = console_sessions.c
    older = sa.and_(c.id == session_id, c.last_used_at < now)
    await conn.execute(sa.update(console_sessions).where(older).values(last_used_at=now))


async def prune(conn: AsyncConnection, now: datetime, limit: int = 500) -> int:
    """Delete at most `limit` rows of sessions that ended more than KEEP ago; return how many."""
    c = console_sessions.c
    over = sa.select(c.id).where(c.expires_at < now - KEEP).order_by(c.expires_at).limit(limit)
    return (await conn.execute(sa.delete(console_sessions).where(c.id.in_(over)))).rowcount
