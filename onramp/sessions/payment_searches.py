"""Searches for payments of paid sessions that an earlier hot wallet may have made already: the amount owed, and the state of each search."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import metadata
from kit.db.inserts import insert_or_ignore
from kit.db.leases import claim, lease_columns, release
from kit.db.types import Uint256, UtcDateTime, one_of


class SearchState(StrEnum):
    """How far the search for a session's payment has got."""

    OPEN = "open"
    """The session was rebuilt and is not paid at Stripe yet."""
    LOOKING = "looking"
    PAID = "paid"
    """An earlier wallet's payment was found and adopted."""
    OWED = "owed"
    """No earlier wallet paid; a payout was created."""
    UNPAID = "unpaid"
    """No payment was found, but this database does not know every payment of the wallet: an operator must decide."""


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
    one_of("state", SearchState),
)
LEASE_SECONDS: Final = 120.0
SOON_SECONDS: Final = 5.0
"""Seconds until the next search for a payment that another process may still be making."""
RETRY_SECONDS: Final = 60.0
"""Seconds until the next search after the nodes did not return enough to decide."""
UNPAID_RETRY_SECONDS: Final = 3600.0
"""Seconds until the next search after no payment was found: a node with a longer history may have been added."""


@dataclass(frozen=True, slots=True)
class Search:
    """One session whose payment is searched for."""

    session_id: str
    wallet: str | None
    """The wallet that the session was sold for; None: any earlier wallet may have paid it."""
    rebuilt: bool
    """Whether the session's row was rebuilt from Stripe after a restore had lost it; such a session is never paid automatically."""
    expected_units: int
    """The MUSD owed, in base units (18 decimals)."""
    created_at: datetime


async def expect(conn: AsyncConnection, session_id: str, wallet: str | None, now: datetime) -> None:
    """Store an OPEN search for a session that was rebuilt from Stripe and was sold for an earlier hot wallet, `wallet`.

    `begin` starts it once the session is paid. If the session already has a search, nothing changes.
    """
    row = _row(session_id, wallet, now, rebuilt=True, state=SearchState.OPEN)
    await insert_or_ignore(conn, searches, [row], ["id"])


async def begin(conn: AsyncConnection, session_id: str, wallet: str | None, expected_units: int, now: datetime) -> bool:
    """Record that an earlier payment of this session must be searched for; `expected_units` is the MUSD owed, 18 decimals.

    An open search starts, and any other existing one is left as it is. Return True if the session's row was rebuilt from Stripe
    because a restore had lost it.
    """
    row = _row(session_id, wallet, now, rebuilt=False, state=SearchState.LOOKING) | {"amount": expected_units}
    if await insert_or_ignore(conn, searches, [row], ["id"]):
        return False
    stored = searches.c.id == session_id
    started = {"state": SearchState.LOOKING, "amount": expected_units, "due_at": now, "created_at": now}
    await conn.execute(sa.update(searches).where(stored, searches.c.state == SearchState.OPEN).values(started))
    return bool(await conn.scalar(sa.select(searches.c.rebuilt).where(stored)))


async def claim_due(conn: AsyncConnection, owner: str, now: datetime, limit: int) -> list[Search]:
    """Lease up to `limit` searches that are due, the longest waiting first, and return them."""
    due = sa.and_(searches.c.state.in_([SearchState.LOOKING, SearchState.UNPAID]), searches.c.due_at <= now)
    rows = await claim(
        conn, searches, owner=owner, seconds=LEASE_SECONDS, limit=limit, due=due, order_by=searches.c.due_at
    )
    return [Search(row.id, row.wallet, row.rebuilt, row.amount, row.created_at) for row in rows]


async def finish(conn: AsyncConnection, session_id: str, owner: str, state: SearchState) -> bool:
    """End a leased search as PAID or OWED. Return False if the lease was lost."""
    return await release(conn, searches, session_id, owner, state=state)


async def postpone(
    conn: AsyncConnection,
    session_id: str,
    owner: str,
    state: SearchState,
    now: datetime,
    seconds: float | None = None,
) -> bool:
    """Search again after `seconds`, or after the default delay of `state`. Return False if the lease was lost.

    `state` is LOOKING if too little is known to decide, UNPAID if no payment was found.
    """
    delay = seconds or (RETRY_SECONDS if state is SearchState.LOOKING else UNPAID_RETRY_SECONDS)
    return await release(conn, searches, session_id, owner, state=state, due_at=now + timedelta(seconds=delay))


def _row(session_id: str, wallet: str | None, now: datetime, *, rebuilt: bool, state: SearchState) -> dict[str, object]:
    return {
        "id": session_id,
        "wallet": wallet,
        "rebuilt": rebuilt,
        "state": state,
        "due_at": now,
        "created_at": now,
    }
