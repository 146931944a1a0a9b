"""The verbs of a delivery, each inside the caller's transaction."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.atomic import Change
from kit.db.bulk import filling, update_unchanged, updating
from kit.db.types import UtcDateTime, constant, in_array
from onramp.deliveries.states import MOVES, Arrived, Match, Owed
from onramp.deliveries.table import transfers
from onramp.sessions import service as sessions_service
from onramp.sessions.model import Session, from_row
from onramp.sessions.table import sessions
from treasury.payouts.queries import payout_of_session

PAID = sessions.c.payment_status == constant("fulfillment_complete")
UNCONFIRMED = sa.and_(PAID, sessions.c.delivery_status != constant("confirmed"))
"""As ix_sessions_unconfirmed says it, which holds these sessions alone."""
OWED = sa.and_(PAID, sessions.c.expected_units.is_not(None))


@dataclass(frozen=True, slots=True)
class Sent:
    """A session of which the payout's hash is news."""

    session_id: str
    version: int
    status: str
    reason: str | None
    updated_at: datetime
    tx_hash: str


def _unindexed(column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Through a function, so that SQLite starts from what is new, which is little, and not from all sessions that wait."""
    return sa.func.coalesce(column, "", type_=sa.String())


_OWED_FIELDS: Final = 7
_WAITS: Final = (
    sessions.c.expected_units.is_not(None),
    _unindexed(sessions.c.payment_status) == "fulfillment_complete",
)
_COLUMNS: Final = (
    sessions.c.id,
    sessions.c.version,
    sessions.c.wallet_address,
    sessions.c.expected_units,
    sessions.c.from_block,
    sa.func.coalesce(sessions.c.paid_at, sessions.c.created_at, type_=UtcDateTime()),
    sessions.c.mode == "observe",
    *(
        transfers.c[name]
        for name in ("id", "recipient", "units", "sender", "tx_hash", "log_index", "block_number", "block_hash")
    ),
)
_PAIRS: Final = (
    sa.select(*_COLUMNS)
    .join(transfers, transfers.c.recipient == sessions.c.wallet_address)
    .where(transfers.c.session_id.is_(None), *_WAITS)
    .limit(sa.bindparam("limit"))
)
_OF_WALLETS: Final = (
    sa.select(*_COLUMNS)
    .outerjoin(
        transfers,
        sa.and_(transfers.c.recipient == sessions.c.wallet_address, transfers.c.session_id.is_(None)),
    )
    .where(
        in_array(sessions.c.wallet_address, "wallets"),
        _unindexed(sessions.c.delivery_status) == "awaiting",
        *_WAITS,
    )
    .limit(sa.bindparam("limit"))
)
_newest = transfers.alias()
_NEW_PAIRS: Final = _PAIRS.where(
    transfers.c.recipient.in_(
        sa.select(_newest.c.recipient).where(_newest.c.session_id.is_(None), _newest.c.seen_at > sa.bindparam("moment"))
    ),
    _unindexed(sessions.c.delivery_status) == "awaiting",
)
_ALL_PAIRS: Final = _PAIRS.where(UNCONFIRMED, sessions.c.delivery_status == "awaiting")
_SENT: Final = (
    sa.select(
        sessions.c.id,
        sessions.c.version,
        sessions.c.delivery_status,
        sessions.c.delivery_reason,
        sessions.c.delivery_updated_at,
        payout_of_session.c.tx_hash,
    )
    .join(payout_of_session, payout_of_session.c.session_id == sessions.c.id)
    .where(
        *_WAITS,
        sessions.c.mode == "payout",
        payout_of_session.c.tx_hash.is_not(None),
        sa.or_(sessions.c.tx_hash.is_(None), sessions.c.tx_hash != payout_of_session.c.tx_hash),
    )
    .limit(sa.bindparam("limit"))
)
_OF_WALLET: Final = _SENT.where(
    payout_of_session.c.wallet == sa.bindparam("wallet"),
    _unindexed(sessions.c.delivery_status).in_(["awaiting", "seen"]),
)
_UNDER_WAY: Final = _OF_WALLET.where(payout_of_session.c.status.in_(["broadcast", "mined"]))
# Ended before anyone here looked, as after an outage of the nodes.
_JUST_ENDED: Final = _OF_WALLET.where(
    payout_of_session.c.status == "final", payout_of_session.c.created_at > sa.bindparam("since")
)
_EVER_SENT: Final = _SENT.where(
    payout_of_session.c.status.in_(["broadcast", "mined", "final"]),
    UNCONFIRMED,
    sessions.c.delivery_status.in_(["awaiting", "seen"]),
)


async def matchable(conn: AsyncConnection, moment: datetime | None, limit: int) -> tuple[list[Owed], list[Arrived]]:
    """What wallets are owed, and what they have received that no session has claimed, all of it.

    Of wallets that received something first seen after `moment`, at the cost of what they received; without it, of all
    that wait, at the cost of going through them.
    """
    if moment is None:
        rows = await conn.execute(_ALL_PAIRS, {"limit": limit})
    else:
        rows = await conn.execute(_NEW_PAIRS, {"moment": moment, "limit": limit})
    return _sides(rows)


async def matchable_of(conn: AsyncConnection, wallets: Collection[str], limit: int) -> tuple[list[Owed], list[Arrived]]:
    """What these wallets are owed, and what else they have received that no session has claimed."""
    given = {"wallets": list(wallets), "limit": limit}
    return _sides(await conn.execute(_OF_WALLETS, given))


def _sides(rows: Iterable[Sequence[Any]]) -> tuple[list[Owed], list[Arrived]]:
    owed: dict[str, Owed] = {}
    arrived: dict[str, Arrived] = {}
    for row in rows:
        if row[0] not in owed:
            owed[row[0]] = Owed(*row[:_OWED_FIELDS])
        transfer = row[_OWED_FIELDS]
        if transfer is not None and transfer not in arrived:
            arrived[transfer] = Arrived(*row[_OWED_FIELDS:])
    return list(owed.values()), list(arrived.values())


def claiming(matches: Sequence[Match], now: datetime, dialect: Dialect, given: Collection[str] = ()) -> list[Change]:
    """Give every session its transfer, unless another was quicker with one of them; transfers in `given` are marked by the caller."""
    rows = [
        {
            "id": one.owed.id,
            "version": one.owed.version,
            "delivery_status": "seen",
            "delivery_reason": "waiting_for_second_node",
            "delivery_updated_at": now,
            "updated_at": now,
            "tx_hash": one.arrived.tx_hash,
            "log_index": one.arrived.log_index,
            "block_number": one.arrived.block_number,
            "block_hash": one.arrived.block_hash,
            "sender": one.arrived.sender,
            "received_units": one.arrived.units,
        }
        for one in matches
    ]
    pairs = [(one.arrived.id, one.owed.id) for one in matches if one.arrived.id not in given]
    # Sessions first, as everywhere: two who claim at once then wait for each other in one order.
    changes = [updating(sessions, rows, dialect)] if rows else []
    return [*changes, filling(transfers, "session_id", pairs, dialect)] if pairs else changes


async def sent(conn: AsyncConnection, wallet: str | None, since: datetime, limit: int) -> list[Sent]:
    """Payout mode: sessions whose payout has left, or left under another hash than known, with that hash.

    With `wallet`, of its payouts that are under way, and of those owed after `since`, only: the cost is theirs, however many sessions wait.
    """
    statements = (_EVER_SENT,) if wallet is None else (_UNDER_WAY, _JUST_ENDED)
    given = {"wallet": wallet, "since": since, "limit": limit}
    return [Sent(*row) for statement in statements for row in await conn.execute(statement, given)]


async def take_sent(conn: AsyncConnection, found: Sequence[Sent], now: datetime) -> int:
    """Let each session know its payout's hash; how many were still as they were read."""
    rows = [
        {
            "id": one.session_id,
            "version": one.version,
            "delivery_status": "seen",
            "delivery_reason": None if one.status == "awaiting" else one.reason,
            "delivery_updated_at": now if one.status == "awaiting" else one.updated_at,
            "updated_at": now,
            "tx_hash": one.tx_hash,
        }
        for one in found
    ]
    return await update_unchanged(conn, sessions, rows)


async def to_prove(conn: AsyncConnection, head: int, limit: int, after: Session | None = None) -> list[Session]:
    """Deliveries that were seen, in a block below `head` or in none yet, and are not proved; the longest waiting first.

    From behind `after` on, as it was read.
    """
    statement = (
        sa.select(sessions)
        .where(
            sessions.c.delivery_status == "seen",
            sa.or_(sessions.c.block_number.is_(None), sessions.c.block_number < head),
        )
        .order_by(sessions.c.delivery_updated_at, sessions.c.id)
        .limit(limit)
    )
    if after is not None:
        moment = after.delivery_updated_at
        later = sa.and_(sessions.c.delivery_updated_at == moment, sessions.c.id > after.id)
        statement = statement.where(sa.or_(sessions.c.delivery_updated_at > moment, later))
    return [from_row(row) for row in await conn.execute(statement)]


async def confirmed_since(conn: AsyncConnection, block: int, limit: int) -> list[Session]:
    """Deliveries confirmed in a block above `block`: young enough that the chain could still take them back."""
    statement = (
        sa.select(sessions)
        .where(_unindexed(sessions.c.delivery_status) == "confirmed", sessions.c.block_number > block)
        .order_by(sessions.c.block_number.desc())
        .limit(limit)
    )
    return [from_row(row) for row in await conn.execute(statement)]


async def move(conn: AsyncConnection, session: Session, status: str, now: datetime, **values: Any) -> bool:
    """Move a delivery, if the machine allows it and nobody changed the session meanwhile."""
    if session.delivery_status not in MOVES[status]:
        return False
    return await sessions_service.change(
        conn, session, now=now, delivery_status=status, delivery_updated_at=now, **values
    )
