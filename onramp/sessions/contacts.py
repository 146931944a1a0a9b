"""Contact data of buyers, encrypted in a table of its own: the sessions table never holds any."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.crypto.encryption import decrypt, encrypt
from kit.crypto.keyring import KeyRing
from kit.db.database import metadata
from kit.db.types import UtcDateTime

PURPOSE: Final = "contacts"
"""The purpose under which contacts are encrypted; see `kit.crypto.keyring`."""
_DIGEST_PURPOSE: Final = "contact-digest"

contacts = sa.Table(
    "privacy_contacts",
    metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("email_sealed", sa.Text, nullable=False, comment="AES-256-GCM under a key of DATA_KEYS, bound to the session"),
    sa.Column("email_digest", sa.String(64), nullable=False, index=True, comment="keyed, of the address in lower case: to search by"),
    sa.Column("created_at", UtcDateTime(), nullable=False, index=True),
)  # fmt: skip


async def store(conn: AsyncConnection, ring: KeyRing, emails: Sequence[tuple[str, str]], now: datetime) -> None:
    """Store each (session id, e-mail), the e-mail encrypted."""
    if emails:
        await conn.execute(
            sa.insert(contacts),
            [
                {"session_id": session_id, "created_at": now} | encrypted_columns(ring, session_id, email)
                for session_id, email in emails
            ],
        )


async def email_of(conn: AsyncConnection, ring: KeyRing, session_id: str) -> str | None:
    """Return the e-mail of a session; None if none is stored or it has been deleted. Raises DecryptionError."""
    query = sa.select(contacts.c.email_sealed).where(contacts.c.session_id == session_id)
    encrypted = (await conn.execute(query)).scalar_one_or_none()
    return None if encrypted is None else decrypt_email(ring, session_id, encrypted)


async def sessions_of_email(conn: AsyncConnection, ring: KeyRing, email: str, limit: int) -> list[str]:
    """Return the ids of up to `limit` sessions for which this e-mail, in any case of letters, was given, the newest first."""
    query = sa.select(contacts.c.session_id).where(contacts.c.email_digest.in_(digests(ring, email)))
    rows = await conn.execute(query.order_by(contacts.c.created_at.desc(), contacts.c.session_id.desc()).limit(limit))
    return list(rows.scalars())


def decrypt_email(ring: KeyRing, session_id: str, encrypted: str) -> str:
    """Return the e-mail in the column `email_sealed` of this session's row. Raises DecryptionError."""
    return decrypt(ring, encrypted, purpose=PURPOSE, belongs_to=session_id)


def encrypted_columns(ring: KeyRing, session_id: str, email: str) -> dict[str, Any]:
    """Return the columns `email_sealed` and `email_digest`, made with the ring's first key."""
    return {
        "email_sealed": encrypt(ring, email, purpose=PURPOSE, belongs_to=session_id),
        "email_digest": digests(ring, email)[0],
    }


def digests(ring: KeyRing, email: str) -> list[str]:
    """Return the keyed digest of an e-mail, in any case of letters, under each key of the ring."""
    return ring.macs(_DIGEST_PURPOSE, email.strip().lower())
