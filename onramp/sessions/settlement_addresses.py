"""The settlement addresses of this deployment, current and earlier: where a delivery of Stripe counts as paid to us.

A purchase is paid to the address that was locked when it was created, which may be an earlier SETTLEMENT_ADDRESS by the time the buyer
pays. The session's row names that address, but a row is no authority: an attacker with write access to the database could name an address
of their own, pay a purchase to themselves and receive MUSD for it. So each start records its SETTLEMENT_ADDRESS with a MAC under a key
derived from DATA_KEYS, which the database does not hold. An address counts only if the environment names it now or its MAC verifies.
"""

import hmac
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import Address, to_checksum
from kit.audit import service as audit_service
from kit.crypto.keyring import KeyRing
from kit.db.database import Database, metadata
from kit.db.inserts import insert_or_ignore
from kit.db.types import UtcDateTime

_PURPOSE = "settlement-address"

settlement_addresses = sa.Table(
    "settlement_addresses",
    metadata,
    sa.Column("id", sa.String(42), primary_key=True, comment="the address in EIP-55"),
    sa.Column("mac", sa.String(64), nullable=False, comment="HMAC-SHA256 of the address under a key of DATA_KEYS"),
    sa.Column("first_used_at", UtcDateTime(), nullable=False),
)


async def record(database: Database, ring: KeyRing, address: Address, *, now: datetime) -> None:
    """Record that this deployment uses `address` (EIP-55), unless that is recorded already.

    Addresses recorded under an older key of the ring are recorded again under its first key, so that the older key can be removed.
    """
    async with database.read() as conn:
        rows = (await conn.execute(sa.select(settlement_addresses))).fetchall()
    macs = {row.id: row.mac for row in rows}
    ours = {recorded for recorded, mac in macs.items() if _verifies(ring, recorded, mac)} | {address}
    current = {own: ring.macs(_PURPOSE, own)[0] for own in ours}
    stale = sorted(own for own, mac in current.items() if macs.get(own) != mac)
    if not stale:
        return
    async with database.write() as conn:
        for own in stale:
            row = {"id": own, "mac": current[own], "first_used_at": now}
            if await insert_or_ignore(conn, settlement_addresses, [row], ["id"]):
                await audit_service.record(conn, audit_service.LOCAL_OPERATOR, "settlement.recorded", own, at=now)
                continue
            stored = sa.update(settlement_addresses).where(settlement_addresses.c.id == own)
            await conn.execute(stored.values(mac=current[own]))


async def is_ours(conn: AsyncConnection, ring: KeyRing, address: str) -> bool:
    """Return whether a start of this deployment recorded `address`, in any case of letters."""
    try:
        address = to_checksum(address.lower())
    except ValueError:
        return False
    query = sa.select(settlement_addresses.c.mac).where(settlement_addresses.c.id == address)
    mac = (await conn.execute(query)).scalar_one_or_none()
    return mac is not None and _verifies(ring, address, mac)


def _verifies(ring: KeyRing, address: str, mac: str) -> bool:
    return any(hmac.compare_digest(mac.encode(), expected.encode()) for expected in ring.macs(_PURPOSE, address))
