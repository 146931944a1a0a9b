"""The verbs of unexplained transactions, each in the caller's open transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.inserts import insert_or_ignore
from kit.db.types import in_array
from kit.ids import Ids
from treasury.core import history
from treasury.incidents.table import Foreign, foreign, to_foreign

# Written once: the sender asks in each cycle, and building the text cost more than its run.
_HERE = sa.and_(foreign.c.chain_id == sa.bindparam("chain_id"), foreign.c.wallet == sa.bindparam("wallet"))
HIGHEST = sa.select(sa.func.max(foreign.c.nonce)).where(_HERE)
NONCES = sa.select(foreign.c.nonce).where(_HERE)
_UNEXPLAINED = sa.select(foreign).where(_HERE, foreign.c.payout_id.is_(None)).order_by(foreign.c.nonce)
_ANY_UNEXPLAINED = sa.select(sa.literal(1)).where(_HERE, foreign.c.payout_id.is_(None)).limit(1)
_OPEN = _UNEXPLAINED.where(foreign.c.answered_at.is_(None))
_UNMATCHED = _UNEXPLAINED.where(foreign.c.reference.is_not(None))


async def notice(
    conn: AsyncConnection, chain_id: int, wallet: str, nonce: int, *, now: datetime, ids: Ids, note: str, **known: Any
) -> None:
    """Write down a nonce used without us; what becomes known later is added, what is known stays."""
    row = {
        "id": ids.new("fgn_"),
        "chain_id": chain_id,
        "wallet": wallet,
        "nonce": nonce,
        "noticed_at": now,
        "note": note,
    }
    if await insert_or_ignore(conn, foreign, [{**row, **known}], ["chain_id", "wallet", "nonce"]):
        return
    c = foreign.c
    same = sa.and_(c.chain_id == chain_id, c.wallet == wallet, c.nonce == nonce)
    if known.get("tx_hash"):
        await conn.execute(sa.update(foreign).where(same, c.tx_hash.is_(None)).values(note=note, **known))


async def open_rows(conn: AsyncConnection, chain_id: int, wallet: str) -> list[Foreign]:
    """Those that neither a payout nor a person explains yet, lowest nonce first."""
    return await _select(conn, _OPEN, chain_id, wallet)


async def any_unexplained(conn: AsyncConnection, chain_id: int, wallet: str) -> bool:
    """Whether one belongs to no payout, answered by a person or not."""
    return (await conn.execute(_ANY_UNEXPLAINED, {"chain_id": chain_id, "wallet": wallet})).first() is not None


async def get(conn: AsyncConnection, chain_id: int, wallet: str, foreign_id: str) -> Foreign | None:
    """One of this wallet's."""
    query = sa.select(foreign).where(_mine(chain_id, wallet), foreign.c.id == foreign_id)
    row = (await conn.execute(query)).first()
    return None if row is None else to_foreign(row)


async def unmatched(conn: AsyncConnection, chain_id: int, wallet: str) -> list[Foreign]:
    """Those that carry a reference and belong to no payout yet, answered by a person or not."""
    return await _select(conn, _UNMATCHED, chain_id, wallet)


_CARRIED = sa.select(foreign.c.reference).where(in_array(foreign.c.reference, "references"))


async def carried(conn: AsyncConnection, references: Sequence[str]) -> set[str]:
    """Which of these a transaction on chain carries that was not ours to make."""
    return set((await conn.execute(_CARRIED, {"references": list(references)})).scalars())


async def pays(conn: AsyncConnection, wallet: str, token: str, to: str, amount: int, reference: str) -> bool:
    """Whether a transaction of `wallet` that belongs to no payout yet moved `amount` of `token` to `to` under this reference."""
    c = foreign.c
    query = sa.select(sa.literal(1)).where(
        c.reference == reference,
        c.payout_id.is_(None),
        c.wallet == wallet,
        c.token == token,
        c.to_address == to,
        c.amount == amount,
    )
    return (await conn.execute(query)).first() is not None


async def matched(conn: AsyncConnection, foreign_id: str, payout_id: str) -> None:
    """This transaction is the payment of that payout."""
    await conn.execute(sa.update(foreign).where(foreign.c.id == foreign_id).values(payout_id=payout_id))


async def match_nonce(conn: AsyncConnection, chain_id: int, wallet: str, nonce: int, payout_id: str) -> None:
    """The nonce, noticed before its transaction was known, turns out to be the payment of that payout."""
    here = sa.and_(_mine(chain_id, wallet), foreign.c.nonce == nonce)
    await conn.execute(sa.update(foreign).where(here).values(payout_id=payout_id))


async def describe(conn: AsyncConnection, foreign_id: str, note: str) -> None:
    """Keep what is known of a transaction now, as half a sentence for people."""
    await conn.execute(sa.update(foreign).where(foreign.c.id == foreign_id).values(note=note))


async def answer(conn: AsyncConnection, foreign_id: str, *, by: str, note: str, now: datetime) -> bool:
    """A person takes responsibility for it, and signing may go on; False where that was done already."""
    c = foreign.c
    result = await conn.execute(
        sa.update(foreign).where(c.id == foreign_id, c.answered_at.is_(None)).values(answered_by=by, answered_at=now)
    )
    if result.rowcount != 1:
        return False
    await history.record(conn, foreign_id, at=now, from_status="open", to_status="answered", by=by, note=note)
    return True


async def highest_nonce(conn: AsyncConnection, chain_id: int, wallet: str) -> int | None:
    """The highest nonce written down here."""
    highest: int | None = (await conn.execute(HIGHEST, {"chain_id": chain_id, "wallet": wallet})).scalar_one()
    return highest


def _mine(chain_id: int, wallet: str) -> sa.ColumnElement[bool]:
    return sa.and_(foreign.c.chain_id == chain_id, foreign.c.wallet == wallet)


async def _select(conn: AsyncConnection, query: sa.Select[Any], chain_id: int, wallet: str) -> list[Foreign]:
    rows = await conn.execute(query, {"chain_id": chain_id, "wallet": wallet})
    return [to_foreign(row) for row in rows.fetchall()]
