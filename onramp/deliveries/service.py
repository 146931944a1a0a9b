"""Read and change deliveries, inside the caller's transaction."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.atomic import BulkWrite
from kit.db.bulk import plan_fill, plan_update, update_unchanged
from kit.db.commit_notes import note
from kit.db.types import UtcDateTime, constant, in_array
from kit.state import Moved, Refused
from onramp.deliveries import states
from onramp.deliveries.states import Arrived, Match, Owed
from onramp.deliveries.table import transfers
from onramp.sessions import service as sessions_service
from onramp.sessions.model import Session, from_row
from onramp.sessions.moves import SessionMoved
from onramp.sessions.status import DeliveryStatus, PaymentStatus
from onramp.sessions.table import sessions
from treasury.core.status import Status
from treasury.payouts.queries import payout_of_session

PAID = sessions.c.payment_status == constant(PaymentStatus.FULFILLMENT_COMPLETE)
UNCONFIRMED = sa.and_(PAID, sessions.c.delivery_status != constant(DeliveryStatus.CONFIRMED))
"""The condition of ix_sessions_unconfirmed, which indexes only the paid sessions that are not confirmed."""
OWED = sa.and_(PAID, sessions.c.expected_units.is_not(None))


@dataclass(frozen=True, slots=True)
class Sent:
    """A session whose payout was sent in a transaction that the session does not name yet."""

    session_id: str
    version: int
    status: DeliveryStatus
    reason: str | None
    updated_at: datetime
    tx_hash: str


def _unindexed(column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Return the column wrapped in a function, so that SQLite starts from the few new rows and not from the index of all waiting sessions."""
    return sa.func.coalesce(column, "", type_=sa.String())


_OWED_FIELDS: Final = 7
_WAITS: Final = (
    sessions.c.expected_units.is_not(None),
    _unindexed(sessions.c.payment_status) == PaymentStatus.FULFILLMENT_COMPLETE,
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
        _unindexed(sessions.c.delivery_status) == DeliveryStatus.AWAITING,
        *_WAITS,
    )
    .limit(sa.bindparam("limit"))
)
_newest = transfers.alias()
_NEW_PAIRS: Final = _PAIRS.where(
    transfers.c.recipient.in_(
        sa.select(_newest.c.recipient).where(_newest.c.session_id.is_(None), _newest.c.seen_at > sa.bindparam("moment"))
    ),
    _unindexed(sessions.c.delivery_status) == DeliveryStatus.AWAITING,
)
_ALL_PAIRS: Final = _PAIRS.where(UNCONFIRMED, sessions.c.delivery_status == DeliveryStatus.AWAITING)
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
    _unindexed(sessions.c.delivery_status).in_([DeliveryStatus.AWAITING, DeliveryStatus.SEEN]),
)
_UNDER_WAY: Final = _OF_WALLET.where(payout_of_session.c.status.in_([Status.BROADCAST, Status.MINED]))
# Final before this worker saw them in flight, as after an outage of the nodes.
_JUST_ENDED: Final = _OF_WALLET.where(
    payout_of_session.c.status == Status.FINAL, payout_of_session.c.created_at > sa.bindparam("since")
)
_EVER_SENT: Final = _SENT.where(
    payout_of_session.c.status.in_([Status.BROADCAST, Status.MINED, Status.FINAL]),
    UNCONFIRMED,
    sessions.c.delivery_status.in_([DeliveryStatus.AWAITING, DeliveryStatus.SEEN]),
)


async def matchable(conn: AsyncConnection, moment: datetime | None, limit: int) -> tuple[list[Owed], list[Arrived]]:
    """Return the transfers that wallets are owed, and all transfers to them that no session has claimed; at most `limit` rows of each.

    With `moment`: of wallets with a transfer first seen after it; the cost grows with those transfers. Without it: of all waiting
    sessions; the cost grows with their number.
    """
    if moment is None:
        rows = await conn.execute(_ALL_PAIRS, {"limit": limit})
    else:
        rows = await conn.execute(_NEW_PAIRS, {"moment": moment, "limit": limit})
    return _split(rows)


async def matchable_of(conn: AsyncConnection, wallets: Collection[str], limit: int) -> tuple[list[Owed], list[Arrived]]:
    """Return the transfers that these wallets are owed, and the stored transfers to them that no session has claimed."""
    parameters = {"wallets": list(wallets), "limit": limit}
    return _split(await conn.execute(_OF_WALLETS, parameters))


def _split(rows: Iterable[Sequence[Any]]) -> tuple[list[Owed], list[Arrived]]:
    owed: dict[str, Owed] = {}
    arrived: dict[str, Arrived] = {}
    for row in rows:
        if row[0] not in owed:
            owed[row[0]] = Owed(*row[:_OWED_FIELDS])
        transfer_id = row[_OWED_FIELDS]
        if transfer_id is not None and transfer_id not in arrived:
            arrived[transfer_id] = Arrived(*row[_OWED_FIELDS:])
    return list(owed.values()), list(arrived.values())


def claiming(
    matches: Sequence[Match], now: datetime, dialect: Dialect, marked_by_caller: Collection[str] = ()
) -> list[BulkWrite]:
    """Return the changes that assign each session its transfer; they fail if another process assigned one of them first.

    The rows of transfers whose id is in `marked_by_caller` are written by the caller.
    """
    rows = [
        {
            "id": pair.owed.id,
            "version": pair.owed.version,
            # Only awaiting sessions are matched, and the state machine lets those become seen.
            "delivery_status": DeliveryStatus.SEEN,
            "delivery_reason": "waiting_for_second_node",
            "delivery_updated_at": now,
            "updated_at": now,
            "tx_hash": pair.arrived.tx_hash,
            "log_index": pair.arrived.log_index,
            "block_number": pair.arrived.block_number,
            "block_hash": pair.arrived.block_hash,
            "sender": pair.arrived.sender,
            "received_units": pair.arrived.units,
        }
        for pair in matches
    ]
    claims = [(pair.arrived.id, pair.owed.id) for pair in matches if pair.arrived.id not in marked_by_caller]
    # Sessions before transfers, as everywhere, so that two concurrent claims lock rows in the same order.
    changes = [plan_update(sessions, rows, dialect)] if rows else []
    return [*changes, plan_fill(transfers, "session_id", claims, dialect)] if claims else changes


async def sent(conn: AsyncConnection, wallet: str | None, since: datetime, limit: int) -> list[Sent]:
    """Return sessions whose payout was sent in a transaction that the session does not name yet, with its hash (payout mode).

    With `wallet`: only its payouts in flight, and those that became final and were owed after `since`. The cost grows with those payouts,
    however many sessions wait.
    """
    statements = (_EVER_SENT,) if wallet is None else (_UNDER_WAY, _JUST_ENDED)
    parameters = {"wallet": wallet, "since": since, "limit": limit}
    rows = [row for statement in statements for row in await conn.execute(statement, parameters)]
    return [
        Sent(
            row.id,
            row.version,
            DeliveryStatus(row.delivery_status),
            row.delivery_reason,
            row.delivery_updated_at,
            row.tx_hash,
        )
        for row in rows
    ]


async def record_payout_hashes(conn: AsyncConnection, sent: Sequence[Sent], now: datetime) -> int:
    """Store each payout's transaction hash in its session; return how many sessions were unchanged since they were read."""
    rows = []
    for payout in sent:
        decision = states.move(payout.status, DeliveryStatus.SEEN)
        if isinstance(decision, Refused):
            continue
        is_moved = isinstance(decision, Moved)
        rows.append(
            {
                "id": payout.session_id,
                "version": payout.version,
                "delivery_status": decision.to,
                "delivery_reason": None if is_moved else payout.reason,
                "delivery_updated_at": now if is_moved else payout.updated_at,
                "updated_at": now,
                "tx_hash": payout.tx_hash,
            }
        )
    stored = await update_unchanged(conn, sessions, rows)
    # How many of them were awaiting is known only if all of them were stored; another process counts those that it stored first.
    moved = sum(payout.status is DeliveryStatus.AWAITING for payout in sent)
    for _ in range(min(moved, stored)):
        note(conn, SessionMoved("delivery", DeliveryStatus.SEEN))
    return stored


async def to_prove(conn: AsyncConnection, head: int, limit: int, after: Session | None = None) -> list[Session]:
    """Return seen deliveries that are not proved, in a block below `head` or in none yet, the longest waiting first.

    `after` is the last session of the previous page, as it was read.
    """
    statement = (
        sa.select(sessions)
        .where(
            sessions.c.delivery_status == DeliveryStatus.SEEN,
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
    """Return deliveries confirmed in a block above `block`, newest block first: the chain could still roll them back."""
    statement = (
        sa.select(sessions)
        .where(_unindexed(sessions.c.delivery_status) == DeliveryStatus.CONFIRMED, sessions.c.block_number > block)
        .order_by(sessions.c.block_number.desc())
        .limit(limit)
    )
    return [from_row(row) for row in await conn.execute(statement)]


async def move(conn: AsyncConnection, session: Session, target: DeliveryStatus, now: datetime, **values: Any) -> bool:
    """Move a delivery to `target`. Return False, changing nothing, if the state machine does not allow it or the session was changed meanwhile."""
    decision = states.move(session.delivery_status, target)
    if not isinstance(decision, Moved):
        return False
    return await sessions_service.change(
        conn, session, now=now, delivery_status=decision.to, delivery_updated_at=now, **values
    )
