"""Operations on invitations, each in the caller's open transaction, each with its audit row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.crypto.keyring import KeyRing
from kit.db.paging import Position, newest_first
from kit.http.problems import Problem, not_found
from kit.ids import random_secret
from onramp.auth.api_keys import makers, person_names
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.api_keys.model import ApiKey
from onramp.auth.api_keys.service import Author
from onramp.auth.invitations.table import invitations
from onramp.auth.roles import Role

PREFIX: Final = "oin_"
PURPOSE: Final = "invitations"


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation without its token."""

    id: str
    role: Role
    name: str
    person: str
    created_at: datetime
    created_by: str
    expires_at: datetime
    closed_at: datetime | None
    key_id: str | None

    def status(self, now: datetime) -> Literal["open", "accepted", "withdrawn", "expired"]:
        """Return the invitation's status at `now`."""
        if self.closed_at is not None:
            return "accepted" if self.key_id else "withdrawn"
        return "expired" if self.expires_at <= now else "open"


def new_token() -> str:
    """Return 256 random bits with a prefix by which logs redact it."""
    return random_secret(PREFIX)


async def invite(
    conn: AsyncConnection,
    author: Author,
    *,
    invitation_id: str,
    token: str,
    ring: KeyRing,
    role: Role,
    name: str,
    person: str,
    valid_for: timedelta,
) -> Invitation:
    """Store an invitation. Raises Problem 422 if `person` could be mistaken for another person."""
    await api_keys_service.one_at_a_time(conn)
    await person_names.require(conn, person)
    expires = author.now + valid_for
    await conn.execute(
        sa.insert(invitations).values(
            id=invitation_id,
            token_hash=ring.macs(PURPOSE, token)[0],
            role=role,
            name=name,
            person=person,
            created_at=author.now,
            created_by=author.id,
            expires_at=expires,
            makers=sorted(await makers.behind(conn, author.id, author.now)),
        )
    )
    after = {"role": role, "name": name, "person": person, "expires_at": expires}
    await audit_service.record(conn, author.id, "key.invite", invitation_id, None, after, at=author.now)
    return await get(conn, invitation_id)


async def accept(
    conn: AsyncConnection,
    *,
    token: str,
    ring: KeyRing,
    key_id: str,
    secret: str,
    now: datetime,
    is_production: bool,
) -> ApiKey:
    """Turn an open invitation into a key, once even with concurrent calls. Raises Problem 404 for any other token, whatever the reason.

    In production a key that may move money still waits like every new one, because the link may have been read on its way. The key's
    maker is the maker of the invitation, and its person is the one named there: the person who accepts it chooses nothing.
    """
    usable = sa.and_(
        invitations.c.token_hash.in_(ring.macs(PURPOSE, token)),
        invitations.c.closed_at.is_(None),
        invitations.c.expires_at > now,
    )
    taken = await conn.execute(
        sa.update(invitations).where(usable).values(closed_at=now, key_id=key_id).returning(invitations)
    )
    row = taken.first()
    if row is None:
        raise Problem(
            404, "invitation_invalid", "This invitation is unknown, used, withdrawn or expired. Ask for another."
        )
    return await api_keys_service.create(
        conn,
        Author(row.id, now, is_production=is_production),
        key_id=key_id,
        secret=secret,
        ring=ring,
        role=row.role,
        name=row.name,
        person=row.person,
        made_for=frozenset(row.makers or ()),
    )


async def withdraw(conn: AsyncConnection, author: Author, invitation_id: str) -> Invitation:
    """Close an open invitation and return it; one that is closed or accepted already is returned unchanged."""
    still = sa.and_(invitations.c.id == invitation_id, invitations.c.closed_at.is_(None))
    closed = await conn.execute(sa.update(invitations).where(still).values(closed_at=author.now))
    if closed.rowcount == 1:
        await audit_service.record(conn, author.id, "key.invite_withdraw", invitation_id, at=author.now)
    return await get(conn, invitation_id)


async def get(conn: AsyncConnection, invitation_id: str) -> Invitation:
    """Return one invitation. Raises Problem 404 if no invitation has this id."""
    row = (await conn.execute(sa.select(invitations).where(invitations.c.id == invitation_id))).first()
    if row is None:
        raise not_found("invitation")
    return _invitation(row)


async def newest(conn: AsyncConnection, *, limit: int, before: Position | None = None) -> Sequence[Invitation]:
    """Return up to `limit` invitations, newest first; with `before`, those after that position of the list."""
    query = newest_first(sa.select(invitations), invitations.c.created_at, invitations.c.id, before).limit(limit)
    return [_invitation(row) for row in await conn.execute(query)]


def _invitation(row: Any) -> Invitation:
    return Invitation(
        row.id,
        row.role,
        row.name,
        row.person,
        row.created_at,
        row.created_by,
        row.expires_at,
        row.closed_at,
        row.key_id,
    )
