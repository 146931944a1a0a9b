"""Operations on passkeys, each in the caller's open transaction, each with its audit row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.crypto.keyring import KeyRing
from kit.db.inserts import insert_or_ignore
from kit.db.paging import Position, newest_first
from kit.http.problems import Problem, not_found
from kit.signed_plans import service as signed_plans_service
from kit.signed_plans.table import passkeys
from kit.signed_plans.webauthn import Registered


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of a person."""

    id: str
    person: str
    name: str
    credential_id: str
    transports: Sequence[str]
    backed_up: bool
    created_at: datetime
    last_used_at: datetime | None
    removed_at: datetime | None


async def of_person(conn: AsyncConnection, person: str) -> list[Passkey]:
    """Return the passkeys of a person that are in use, the oldest first."""
    mine = sa.and_(passkeys.c.person == person, passkeys.c.removed_at.is_(None))
    query = sa.select(passkeys).where(mine).order_by(passkeys.c.created_at, passkeys.c.id)
    return [_passkey(row) for row in await conn.execute(query)]


async def count(conn: AsyncConnection, person: str) -> int:
    """Return how many passkeys a person has in use."""
    return len(await of_person(conn, person))


async def newest(
    conn: AsyncConnection, *, limit: int, before: Position | None = None, person: str | None = None
) -> list[Passkey]:
    """Return up to `limit` passkeys in use, the newest first; with `person`, that person's alone."""
    query = newest_first(sa.select(passkeys), passkeys.c.created_at, passkeys.c.id, before)
    query = query.where(passkeys.c.removed_at.is_(None))
    if person is not None:
        query = query.where(passkeys.c.person == person)
    return [_passkey(row) for row in await conn.execute(query.limit(limit))]


async def enrol(
    conn: AsyncConnection,
    ring: KeyRing,
    *,
    passkey_id: str,
    person: str,
    name: str,
    registered: Registered,
    transports: Sequence[str],
    by: str,
    now: datetime,
) -> Passkey:
    """Store a new passkey. Raises Problem 409 if its credential is enrolled already."""
    seal, key_id = signed_plans_service.passkey_seal(
        ring, person=person, credential_id=registered.credential_id, public_key=registered.public_key
    )
    row = {
        "id": passkey_id,
        "person": person,
        "name": name,
        "credential_id": registered.credential_id,
        "public_key": registered.public_key,
        "sign_count": registered.sign_count,
        "backed_up": registered.backed_up,
        "transports": list(transports),
        "created_at": now,
        "created_by": by,
        "seal": seal,
        "key_id": key_id,
    }
    if not await insert_or_ignore(conn, passkeys, [row]):
        raise Problem(409, "passkey_enrolled", "This passkey is enrolled already, or was removed before.")
    facts = {"person": person, "credentialId": registered.credential_id, "publicKey": registered.public_key}
    await audit_service.record(conn, by, "passkey.enrol", passkey_id, None, facts, at=now)
    return await get(conn, passkey_id)


async def remove(conn: AsyncConnection, passkey_id: str, *, by: str, now: datetime) -> Passkey:
    """Take a passkey out of use; what it signed stays provable. Removing it again changes nothing. Raises Problem 404."""
    passkey = await get(conn, passkey_id)
    in_use = sa.and_(passkeys.c.id == passkey_id, passkeys.c.removed_at.is_(None))
    ended = await conn.execute(sa.update(passkeys).where(in_use).values(removed_at=now, removed_by=by))
    if ended.rowcount:
        await audit_service.record(
            conn, by, "passkey.remove", passkey_id, {"person": passkey.person}, {"removedAt": now}, at=now
        )
    return await get(conn, passkey_id)


async def get(conn: AsyncConnection, passkey_id: str) -> Passkey:
    """Return one passkey, in use or not. Raises Problem 404."""
    row = (await conn.execute(sa.select(passkeys).where(passkeys.c.id == passkey_id))).first()
    if row is None:
        raise not_found("passkey")
    return _passkey(row)


async def row_of_credential(conn: AsyncConnection, credential_id: str) -> Any:
    """Return the row of the passkey with this credential; None for an unknown credential."""
    return (await conn.execute(sa.select(passkeys).where(passkeys.c.credential_id == credential_id))).first()


async def use(
    conn: AsyncConnection, passkey_id: str, *, before: int, after: int, backed_up: bool, now: datetime
) -> bool:
    """Store the counter after a signature; False if another signature of the same passkey was stored meanwhile, or it was removed."""
    unchanged = sa.and_(passkeys.c.id == passkey_id, passkeys.c.sign_count == before, passkeys.c.removed_at.is_(None))
    values = {"sign_count": after, "backed_up": backed_up, "last_used_at": now}
    return (await conn.execute(sa.update(passkeys).where(unchanged).values(**values))).rowcount == 1


def _passkey(row: Any) -> Passkey:
    return Passkey(
        row.id,
        row.person,
        row.name,
        row.credential_id,
        row.transports,
        row.backed_up,
        row.created_at,
        row.last_used_at,
        row.removed_at,
    )
