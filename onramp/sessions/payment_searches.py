"""Paid sessions that an earlier hot wallet may have paid already: what is owed, and what the search on chain has shown."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import metadata
from kit.db.inserts import insert_or_ignore
from kit.db.leases import claim, lease_columns, release
from kit.db.types import Uint256, UtcDateTime, one_of

searches = sa.Table(
    "session_searches",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True, comment="the session's id"),
    sa.Column("wallet", sa.String(42), comment="the wallet that it was sold for; null: any earlier one"),
    sa.Column("rebuilt", sa.Boolean, nullable=False, comment="this database had lost the session: never paid again"),
    sa.Column("state", sa.String(8), nullable=False, comment="open, looking, paid, owed or unpaid"),
    sa.Column("amount", Uint256(), comment="MUSD owed, 18 decimals"),
    sa.Column("due_at", UtcDateTime(), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    *lease_columns(),
    sa.Index("ix_session_searches_due", "state", "due_at"),
    one_of("state", ("open", "looking", "paid", "owed", "unpaid")),
)
LEASE_SECONDS: Final = 120.0
SOON_SECONDS: Final = 5.0
"""Until a payment that may still come from another process is looked for again."""
AGAIN_SECONDS: Final = 60.0
"""Until the nodes are asked again where they did not tell enough."""
UNPAID_AGAIN_SECONDS: Final = 3600.0
"""Until a payment that was not found is looked for again: a node with more history may have been added."""


@dataclass(frozen=True, slots=True)
class Search:
    """One session whose payment is looked for; `wallet` None: any earlier wallet may have paid it."""

    session_id: str
    wallet: str | None
    rebuilt: bool
    state: str
    amount: int
    created_at: datetime


async def expect(conn: AsyncConnection, session_id: str, wallet: str | None, now: datetime) -> None:
    """Remember that this session was rebuilt and names an earlier wallet, before it is paid."""
    await insert_or_ignore(conn, searches, [_row(session_id, wallet, now, rebuilt=True, state="open")], ["id"])


async def begin(conn: AsyncConnection, session_id: str, wallet: str | None, amount: int, now: datetime) -> bool:
    """Look for the payment of `amount` base units from now on; True where this database had lost the session."""
    row = _row(session_id, wallet, now, rebuilt=False, state="looking") | {"amount": amount}
    if await insert_or_ignore(conn, searches, [row], ["id"]):
        return False
    mine = searches.c.id == session_id
    begun = {"state": "looking", "amount": amount, "due_at": now, "created_at": now}
    await conn.execute(sa.update(searches).where(mine, searches.c.state == "open").values(begun))
    return bool(await conn.scalar(sa.select(searches.c.rebuilt).where(mine)))


async def claim_due(conn: AsyncConnection, owner: str, now: datetime, limit: int) -> list[Search]:
    """Lease the searches that are due, the longest waiting first."""
    due = sa.and_(searches.c.state.in_(["looking", "unpaid"]), searches.c.due_at <= now)
    rows = await claim(
        conn, searches, owner=owner, seconds=LEASE_SECONDS, limit=limit, due=due, order_by=searches.c.due_at
    )
    return [Search(row.id, row.wallet, row.rebuilt, row.state, row.amount, row.created_at) for row in rows]


async def settle(conn: AsyncConnection, session_id: str, owner: str, state: str) -> bool:
    """End a leased search as `paid` or `owed`; False where the lease was lost."""
    return await release(conn, searches, session_id, owner, state=state)


async def postpone(
    conn: AsyncConnection, session_id: str, owner: str, state: str, now: datetime, seconds: float | None = None
) -> bool:
    """Look again later; `state` is `looking` where too little is known, `unpaid` where nothing was found."""
    wait = seconds or (AGAIN_SECONDS if state == "looking" else UNPAID_AGAIN_SECONDS)
    return await release(conn, searches, session_id, owner, state=state, due_at=now + timedelta(seconds=wait))


def _row(session_id: str, wallet: str | None, now: datetime, *, rebuilt: bool, state: str) -> dict[str, object]:
    return {
        "id": session_id,
        "wallet": wallet,
        "rebuilt": rebuilt,
        "state": state,
        "due_at": now,
        "created_at": now,
    }
