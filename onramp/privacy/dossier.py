"""Collect everything that is stored about one wallet, as a document for the person who owns it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.table import entries
from kit.clock import rfc3339
from kit.crypto.keyring import KeyRing
from onramp.auth.wallets.table import login_nonces, wallet_logins
from onramp.buyer_mail import service as buyer_mail_service
from onramp.privacy import service as privacy_service
from onramp.sessions.table import sessions
from onramp.webhooks.table import inbox
from treasury.payouts import queries as payout_queries


async def dossier(conn: AsyncConnection, ring: KeyRing, wallet: str) -> dict[str, Any]:
    """Return all rows about a wallet (EIP-55), with its contacts decrypted. Raises DecryptionError.

    Keys are the columns' names; amounts are base units as text.
    """
    purchases = await _rows(conn, sa.select(sessions).where(sessions.c.wallet_address == wallet))
    paid = [_document(row) for row in await payout_queries.rows_to_recipient(conn, wallet)]
    stripe_ids = [row["stripe_session_id"] for row in purchases if row["stripe_session_id"]]
    subjects = [wallet, *(row["id"] for row in (*purchases, *paid))]
    return {
        "wallet": wallet,
        "contacts": [
            {"sessionId": contact.session_id, "email": contact.email, "createdAt": rfc3339(contact.created_at)}
            for contact in await privacy_service.of_wallet(conn, ring, wallet)
        ],
        "sessions": purchases,
        "payouts": paid,
        "mails": [
            _document(row._mapping)
            for row in await buyer_mail_service.of_sessions(conn, [row["id"] for row in purchases])
        ],
        "events": await _rows(conn, sa.select(inbox).where(inbox.c.stripe_session_id.in_(stripe_ids))),
        "logins": await _rows(conn, sa.select(wallet_logins).where(wallet_logins.c.id == wallet)),
        "nonces": await _rows(
            conn, sa.select(login_nonces).where(sa.func.lower(login_nonces.c.address) == wallet.lower())
        ),
        "trail": await _rows(conn, sa.select(entries).where(entries.c.subject.in_(subjects))),
    }


async def _rows(conn: AsyncConnection, query: "sa.Select[Any]") -> list[dict[str, Any]]:
    return [_document(row._mapping) for row in await conn.execute(query)]


def _document(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): _json_value(value) for name, value in row.items()}


def _json_value(value: Any) -> Any:
    """Return times as RFC 3339 and integers that JSON numbers cannot hold exactly (2**53 and above) as text."""
    if isinstance(value, datetime):
        return rfc3339(value)
    is_large = isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53
    return str(value) if is_large else value
