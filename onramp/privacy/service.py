"""Find, show, delete and re-encrypt personal data, inside the caller's transaction.

Each change writes an audit row that names the subject and a count, never the data itself.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.crypto.encryption import DecryptionError, is_current
from kit.crypto.keyring import KeyRing
from onramp.sessions.contacts import PURPOSE, contacts, decrypt_email, digests, encrypted_columns
from onramp.sessions.table import sessions


@dataclass(frozen=True, slots=True)
class Contact:
    """The e-mail that a buyer gave with one session. Its repr leaves the e-mail out, so that no log shows it."""

    session_id: str
    email: str
    created_at: datetime

    def __repr__(self) -> str:
        return f"Contact({self.session_id})"


async def of_wallet(conn: AsyncConnection, ring: KeyRing, wallet: str) -> list[Contact]:
    """Return every contact stored for a wallet (EIP-55), oldest first. Raises DecryptionError."""
    query = sa.select(contacts).where(contacts.c.session_id.in_(_sessions_of(wallet)))
    return [
        Contact(row.session_id, decrypt_email(ring, row.session_id, row.email_sealed), row.created_at)
        for row in await conn.execute(query.order_by(contacts.c.created_at, contacts.c.session_id))
    ]


async def wallets_of(conn: AsyncConnection, ring: KeyRing, email: str) -> list[str]:
    """Return the wallets (EIP-55) for which this e-mail, in any case of letters, was given; found by its keyed digest."""
    query = sa.select(sessions.c.wallet_address).join(contacts, contacts.c.session_id == sessions.c.id)
    rows = await conn.execute(query.where(contacts.c.email_digest.in_(digests(ring, email))).distinct())
    return sorted(rows.scalars())


async def prune(conn: AsyncConnection, before: datetime, *, by: str, now: datetime, limit: int | None = None) -> int:
    """Delete contacts created before `before`, the oldest first and at most `limit`; return how many."""
    aged = sa.select(contacts.c.session_id).where(contacts.c.created_at < before)
    aged = aged.order_by(contacts.c.created_at).limit(limit)
    count = (await conn.execute(sa.delete(contacts).where(contacts.c.session_id.in_(aged)))).rowcount
    if count:
        after = {"contacts": count, "before": before}
        await audit_service.record(conn, by, "privacy.prune", "contacts", None, after, at=now)
    return count


async def erase(conn: AsyncConnection, wallet: str, *, by: str, now: datetime) -> int:
    """Delete the personal data of a wallet (EIP-55) and return the number of contacts among it. Money rows and audit log stay.

    The hashes of its create requests are deleted too, because one of them covers the e-mail; and return URL and locale, which a dApp chose
    for this buyer. References stay: they are the dApp's names for its orders.
    """
    deleted = await conn.execute(sa.delete(contacts).where(contacts.c.session_id.in_(_sessions_of(wallet))))
    of_wallet = sa.update(sessions).where(sessions.c.wallet_address == wallet)
    await conn.execute(of_wallet.values(idempotency_hash=None, body_hash=None, return_url=None, locale=None))
    await audit_service.record(conn, by, "privacy.erase", wallet, None, {"contacts": deleted.rowcount}, at=now)
    return deleted.rowcount


async def rekey(conn: AsyncConnection, ring: KeyRing, *, after: str, limit: int) -> tuple[str | None, int]:
    """Encrypt the next `limit` contacts, those with a session id above `after`, under the ring's first key.

    Returns the session id to continue after (None at the end) and how many contacts were changed. A contact that is changed or erased
    at the same time is left as it is. Raises DecryptionError.
    """
    query = sa.select(contacts).where(contacts.c.session_id > after).order_by(contacts.c.session_id).limit(limit)
    rows = (await conn.execute(query)).fetchall()
    changed = 0
    for row in rows:
        if is_current(ring, row.email_sealed, purpose=PURPOSE):
            continue
        try:
            email = decrypt_email(ring, row.session_id, row.email_sealed)
        except DecryptionError as error:
            raise DecryptionError(f"the contact of session {row.session_id}: {error}") from error
        unchanged = sa.and_(contacts.c.session_id == row.session_id, contacts.c.email_sealed == row.email_sealed)
        result = await conn.execute(
            sa.update(contacts).where(unchanged).values(**encrypted_columns(ring, row.session_id, email))
        )
        changed += result.rowcount
    return (rows[-1].session_id if rows else None), changed


def _sessions_of(wallet: str) -> "sa.Select[Any]":
    return sa.select(sessions.c.id).where(sessions.c.wallet_address == wallet)
