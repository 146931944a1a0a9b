"""The settlement addresses of this deployment, now and earlier: where Stripe's delivery counts as paid to us.

A purchase is paid to the address that was locked when it was made, which may be an earlier SETTLEMENT_ADDRESS by the time the buyer
pays. A session's row says which one that was, but a row is no authority: whoever writes into the database could name an address of
their own, pay a purchase to themselves and be paid MUSD for it. So each start writes its SETTLEMENT_ADDRESS down under a MAC whose
key, derived from DATA_KEYS, the database does not hold. Only an address that the environment names now, or that verifies so, counts.
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
    """Write down that this deployment uses `address` (EIP-55); nothing is written where that is known.

    Addresses known under an older key of the ring are kept under its first one, so that the older key can be taken away.
    """
    async with database.read() as conn:
        rows = (await conn.execute(sa.select(settlement_addresses))).fetchall()
    known = {row.id: row.mac for row in rows}
    ours = {one for one, mac in known.items() if _verifies(ring, one, mac)}
    stale = {one for one in ours | {address} if known.get(one) != ring.macs(_PURPOSE, one)[0]}
    if not stale:
        return
    async with database.write() as conn:
        for one in sorted(stale):
            mac = ring.macs(_PURPOSE, one)[0]
            row = {"id": one, "mac": mac, "first_used_at": now}
            if await insert_or_ignore(conn, settlement_addresses, [row], ["id"]):
                await audit_service.record(conn, audit_service.LOCAL_OPERATOR, "settlement.recorded", one, at=now)
                continue
            mine = settlement_addresses.c.id == one
            await conn.execute(sa.update(settlement_addresses).where(mine).values(mac=mac))


async def is_ours(conn: AsyncConnection, ring: KeyRing, address: str) -> bool:
    """Whether a start of this deployment recorded `address`, in any case of letters."""
    try:
        address = to_checksum(address.lower())
    except ValueError:
        return False
    query = sa.select(settlement_addresses.c.mac).where(settlement_addresses.c.id == address)
    mac = (await conn.execute(query)).scalar_one_or_none()
    return mac is not None and _verifies(ring, address, mac)


def _verifies(ring: KeyRing, address: str, mac: str) -> bool:
    return any(hmac.compare_digest(mac.encode(), one.encode()) for one in ring.macs(_PURPOSE, address))
