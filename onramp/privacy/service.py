"""The verbs of personal data, each in the caller's open transaction; what changes something leaves a row in the trail, without a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.crypto.encryption import DecryptionError, decrypt, encrypt, is_current
from kit.crypto.keyring import KeyRing
from onramp.sessions.contacts import contacts
from onramp.sessions.table import sessions

PURPOSE: Final = "contacts"
_DIGEST: Final = "contact-digest"


@dataclass(frozen=True, slots=True)
class Contact:
    """What a buyer gave with one session; not shown where values are logged."""

    session_id: str
    email: str
    created_at: datetime

    def __repr__(self) -> str:
        return f"Contact({self.session_id})"


async def keep(conn: AsyncConnection, ring: KeyRing, given: Sequence[tuple[str, str]], now: datetime) -> None:
    """Keep the e-mail of each (session id, e-mail), encrypted."""
    if given:
        await conn.execute(
            sa.insert(contacts),
            [{"session_id": session, "created_at": now} | _sealed(ring, session, email) for session, email in given],
        )


async def email_of(conn: AsyncConnection, ring: KeyRing, session_id: str) -> str | None:
    """The e-mail of a session; None where none is kept any more. Raises SealError."""
    query = sa.select(contacts.c.email_sealed).where(contacts.c.session_id == session_id)
    sealed = (await conn.execute(query)).scalar_one_or_none()
    return None if sealed is None else decrypt(ring, sealed, purpose=PURPOSE, belongs_to=session_id)


async def of_wallet(conn: AsyncConnection, ring: KeyRing, wallet: str) -> list[Contact]:
    """Every contact kept for a wallet (EIP-55), oldest first. Raises SealError."""
    query = sa.select(contacts).where(contacts.c.session_id.in_(_sessions_of(wallet)))
    return [
        Contact(row.session_id, decrypt(ring, row.email_sealed, purpose=PURPOSE, belongs_to=row.session_id), row.created_at)
        for row in await conn.execute(query.order_by(contacts.c.created_at, contacts.c.session_id))
    ]  # fmt: skip


async def wallets_of(conn: AsyncConnection, ring: KeyRing, email: str) -> list[str]:
    """The wallets (EIP-55) that were bought for with this e-mail; found by its keyed digest, in any case of letters."""
    query = sa.select(sessions.c.wallet_address).join(contacts, contacts.c.session_id == sessions.c.id)
    found = await conn.execute(query.where(contacts.c.email_digest.in_(_digests(ring, email))).distinct())
    return sorted(found.scalars())


async def prune(conn: AsyncConnection, before: datetime, *, by: str, now: datetime, limit: int | None = None) -> int:
    """Delete contacts that are older, the oldest first, at most `limit` of them where given; how many."""
    aged = sa.select(contacts.c.session_id).where(contacts.c.created_at < before)
    aged = aged.order_by(contacts.c.created_at).limit(limit)
    count = (await conn.execute(sa.delete(contacts).where(contacts.c.session_id.in_(aged)))).rowcount
    if count:
        after = {"contacts": count, "before": before}
        await audit_service.record(conn, by, "privacy.prune", "contacts", None, after, at=now)
    return count


async def erase(conn: AsyncConnection, wallet: str, *, by: str, now: datetime) -> int:
    """Delete what is personal about a wallet (EIP-55); how many contacts. Money rows and the trail stay.

    The hashes of its requests go, too: one of them covers the e-mail.
    """
    gone = await conn.execute(sa.delete(contacts).where(contacts.c.session_id.in_(_sessions_of(wallet))))
    hashes = sa.update(sessions).where(sessions.c.wallet_address == wallet)
    await conn.execute(hashes.values(idempotency_hash=None, body_hash=None))
    await audit_service.record(conn, by, "privacy.erase", wallet, None, {"contacts": gone.rowcount}, at=now)
    return gone.rowcount


async def rekey(conn: AsyncConnection, ring: KeyRing, *, after: str, limit: int) -> tuple[str | None, int]:
    """Encrypt the next `limit` contacts beyond session `after` under the ring's first key; (where to go on, how many changed).

    One that is changed or erased meanwhile is left alone. Raises SealError.
    """
    query = sa.select(contacts).where(contacts.c.session_id > after).order_by(contacts.c.session_id).limit(limit)
    rows = (await conn.execute(query)).fetchall()
    changed = 0
    for row in rows:
        if is_current(ring, row.email_sealed, purpose=PURPOSE):
            continue
        try:
            email = decrypt(ring, row.email_sealed, purpose=PURPOSE, belongs_to=row.session_id)
        except DecryptionError as error:
            raise DecryptionError(f"the contact of session {row.session_id}: {error}") from error
        same = sa.and_(contacts.c.session_id == row.session_id, contacts.c.email_sealed == row.email_sealed)
        result = await conn.execute(sa.update(contacts).where(same).values(**_sealed(ring, row.session_id, email)))
        changed += result.rowcount
    return (rows[-1].session_id if rows else None), changed


def _sealed(ring: KeyRing, session_id: str, email: str) -> dict[str, Any]:
    return {
        "email_sealed": encrypt(ring, email, purpose=PURPOSE, belongs_to=session_id),
        "email_digest": _digests(ring, email)[0],
    }


def _digests(ring: KeyRing, email: str) -> list[str]:
    return ring.macs(_DIGEST, email.strip().lower())


def _sessions_of(wallet: str) -> "sa.Select[Any]":
    return sa.select(sessions.c.id).where(sessions.c.wallet_address == wallet)
