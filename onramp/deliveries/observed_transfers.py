"""Store, update and delete the transfers observed on chain, inside the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.types import BlockRef, Transfer
from kit.db.atomic import BulkWrite
from kit.db.bulk import plan_insert
from kit.db.inserts import insert_or_ignore
from onramp.deliveries.table import transfers
from onramp.sessions.status import DeliveryStatus
from onramp.sessions.table import sessions

BATCH: Final = 1_000
_STORED: Final = sa.select(transfers.c.id, transfers.c.block_hash).where(
    transfers.c.id.in_(sa.bindparam("ids", expanding=True))
)


def id_of(chain_id: int, transfer: Transfer) -> str:
    """Return the id of a transfer's row."""
    return f"{chain_id}:{transfer.tx_hash}:{transfer.log_index}"


def recording(
    observed: Sequence[Transfer], chain_id: int, now: datetime, claims: Mapping[str, str], dialect: Dialect
) -> BulkWrite:
    """Return the change that stores transfers, all of them new; `claims` maps the ids of some to the session that claims them."""
    rows = _rows(observed, chain_id, now)
    for row in rows:
        row["session_id"] = claims.get(row["id"])
    return plan_insert(transfers, rows, ["id"], dialect)


async def record(conn: AsyncConnection, observed: Sequence[Transfer], chain_id: int, now: datetime) -> None:
    """Store transfers; one that is stored already is only updated if it is in another block now."""
    rows = _rows(observed, chain_id, now)
    for start in range(0, len(rows), BATCH):
        batch = {row["id"]: row for row in rows[start : start + BATCH]}
        if len(await insert_or_ignore(conn, transfers, list(batch.values()), ["id"])) == len(batch):
            continue
        stored = (await conn.execute(_STORED, {"ids": list(batch)})).fetchall()
        for row in stored:
            if row.block_hash != batch[row.id]["block_hash"]:
                await _update_block(conn, batch[row.id])


def _rows(observed: Sequence[Transfer], chain_id: int, now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "id": id_of(chain_id, transfer),
            "chain_id": chain_id,
            "token": transfer.token,
            "sender": transfer.sender,
            "recipient": transfer.recipient,
            "units": transfer.amount,
            "tx_hash": transfer.tx_hash,
            "log_index": transfer.log_index,
            "block_number": transfer.block.number,
            "block_hash": transfer.block.hash,
            "seen_at": now,
        }
        for transfer in observed
    ]


async def _update_block(conn: AsyncConnection, row: dict[str, Any]) -> None:
    """Store the block that a known transfer is in now, because the chain replaced the old one.

    A confirmed delivery is left as it is: the recheck finds that its block changed, with an alarm. Of a claimed transfer only the block
    changes; the proof will show whether the claim is still valid.
    """
    confirmed = sa.exists().where(
        sessions.c.id == transfers.c.session_id, sessions.c.delivery_status == DeliveryStatus.CONFIRMED
    )
    update = sa.update(transfers).where(transfers.c.id == row["id"])
    await conn.execute(update.where(transfers.c.session_id.is_(None)).values(row))
    await conn.execute(
        update.where(transfers.c.session_id.is_not(None), ~confirmed).values(
            block_number=row["block_number"], block_hash=row["block_hash"]
        )
    )


async def release(conn: AsyncConnection, session_id: str) -> None:
    """Delete the transfer that a session had claimed (observe mode), because the chain no longer holds it.

    If the transfer comes back it is read again.
    """
    await conn.execute(sa.delete(transfers).where(transfers.c.session_id == session_id))


async def prove_claim(conn: AsyncConnection, session_id: str, block: BlockRef) -> None:
    """Store the block in which the claimed transfer was proved (observe mode)."""
    await conn.execute(
        sa.update(transfers)
        .where(transfers.c.session_id == session_id)
        .values(block_number=block.number, block_hash=block.hash)
    )
