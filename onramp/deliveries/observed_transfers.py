"""The transfers that were seen, each inside the caller's transaction: kept, followed into another block, forgotten."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import BlockRef, Transfer
from kit.db.atomic import Change
from kit.db.bulk import inserting
from kit.db.inserts import insert_or_ignore
from onramp.deliveries.table import transfers
from onramp.sessions.table import sessions

_KNOWN: Final = sa.select(transfers.c.id, transfers.c.block_hash).where(
    transfers.c.id.in_(sa.bindparam("ids", expanding=True))
)


def id_of(chain_id: int, transfer: Transfer) -> str:
    """The id under which it is kept."""
    return f"{chain_id}:{transfer.tx_hash}:{transfer.log_index}"


def recording(
    found: Sequence[Transfer], chain_id: int, now: datetime, claims: Mapping[str, str], dialect: Dialect
) -> Change:
    """Keep transfers, all of them news, some with the session that claims them, by id."""
    rows = _rows(found, chain_id, now)
    for row in rows:
        row["session_id"] = claims.get(row["id"])
    return inserting(transfers, rows, ["id"], dialect)


async def record(conn: AsyncConnection, found: Sequence[Transfer], chain_id: int, now: datetime) -> None:
    """Keep transfers that were seen; one seen again is nothing new, unless it is in another block now."""
    rows = _rows(found, chain_id, now)
    for start in range(0, len(rows), 1_000):
        part = {row["id"]: row for row in rows[start : start + 1_000]}
        if len(await insert_or_ignore(conn, transfers, list(part.values()), ["id"])) == len(part):
            continue
        known = (await conn.execute(_KNOWN, {"ids": list(part)})).fetchall()
        for one in known:
            if one.block_hash != part[one.id]["block_hash"]:
                await _follow(conn, part[one.id])


def _rows(found: Sequence[Transfer], chain_id: int, now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "id": id_of(chain_id, item),
            "chain_id": chain_id,
            "token": item.token,
            "sender": item.sender,
            "recipient": item.recipient,
            "units": item.amount,
            "tx_hash": item.tx_hash,
            "log_index": item.log_index,
            "block_number": item.block.number,
            "block_hash": item.block.hash,
            "seen_at": now,
        }
        for item in found
    ]


async def _follow(conn: AsyncConnection, row: dict[str, Any]) -> None:
    """Take over the block that a known transfer is in now: the chain took the old one back.

    Not under a confirmed delivery: that its block changed is found by the recheck, with an alarm. What a claim rests on otherwise stays
    as well; the proof will tell whether it still holds.
    """
    confirmed = sa.exists().where(sessions.c.id == transfers.c.session_id, sessions.c.delivery_status == "confirmed")
    one = sa.update(transfers).where(transfers.c.id == row["id"])
    await conn.execute(one.where(transfers.c.session_id.is_(None)).values(row))
    await conn.execute(
        one.where(transfers.c.session_id.is_not(None), ~confirmed).values(
            block_number=row["block_number"], block_hash=row["block_hash"]
        )
    )


async def release(conn: AsyncConnection, session_id: str) -> None:
    """Observe mode: forget the transfer that a session had claimed, for the chain no longer holds it; it is read again if it comes back."""
    await conn.execute(sa.delete(transfers).where(transfers.c.session_id == session_id))


async def prove_claim(conn: AsyncConnection, session_id: str, block: BlockRef) -> None:
    """Observe mode: the claimed transfer was proved in this block."""
    await conn.execute(
        sa.update(transfers)
        .where(transfers.c.session_id == session_id)
        .values(block_number=block.number, block_hash=block.hash)
    )
