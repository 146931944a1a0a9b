"""The payouts of one wallet that wait for a nonce: their order, those held outside the queue, and the reason each waits.

The queue is in the order in which purchases were paid. A payout that a check objects to leaves the queue with a status of its own, so that
no other payout waits behind it. Only what concerns the whole wallet (too little MUSD or gas, fees above the ceiling) makes the first
payout wait, and all payouts behind it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.paging import Position
from kit.db.types import db_now, in_array
from treasury.core.aggregates import EVERYTHING, Filter
from treasury.core.leader import leaders
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.payouts import service as payouts_service
from treasury.payouts.model import Payout
from treasury.payouts.states import HELD_ALONE, HELD_TOGETHER, RECHECKED
from treasury.payouts.table import payouts, to_payout

_C = payouts.c
_UNSIGNED = sa.and_(_C.wallet == sa.bindparam("of_wallet"), _C.transaction_id.is_(None))
_QUEUED = sa.and_(_UNSIGNED, _C.status.in_([Status.PLANNED, Status.APPROVED]))
_HELD = sa.and_(_UNSIGNED, _C.status == Status.HELD)
_ORDER = (_C.created_at, _C.id)


def _held_for(reasons: Collection[Reason]) -> sa.ColumnElement[bool]:
    return sa.and_(_C.status == Status.HELD, _C.reason.in_(sorted(reasons)))


# Built once: the sender runs these in each cycle, and building a statement takes longer than running it.
_HEADS = (
    sa.select(payouts)
    .where(
        _UNSIGNED,
        _C.token == sa.bindparam("in_token"),
        sa.or_(_C.status.in_([Status.PLANNED, Status.APPROVED]), _held_for(RECHECKED - HELD_ALONE)),
        sa.not_(in_array(_C.id, "excluded")),
    )
    .order_by(*_ORDER)
    .limit(sa.bindparam("max_rows", type_=sa.Integer()))
)
_HELD_TOGETHER = sa.select(payouts).where(_HELD, _C.reason.in_(sorted(HELD_TOGETHER))).order_by(*_ORDER)
_HELD_ALONE = (
    sa.select(payouts)
    .where(_HELD, _C.reason.in_(sorted(HELD_ALONE)), _C.id > sa.bindparam("after"))
    .order_by(_C.id)
    .limit(sa.bindparam("max_rows", type_=sa.Integer()))
)
_OTHER_TOKEN = sa.select(payouts).where(
    _UNSIGNED,
    _C.status.in_([Status.PLANNED, Status.APPROVED, Status.HELD]),
    sa.or_(
        sa.and_(
            _C.token != sa.bindparam("in_token"),
            sa.or_(_C.status.in_([Status.PLANNED, Status.APPROVED]), _held_for(RECHECKED - HELD_ALONE)),
        ),
        sa.and_(_C.token == sa.bindparam("in_token"), _held_for({Reason.TOKEN_CHANGED})),
    ),
)
_WHY = sa.bindparam("why", type_=sa.String())
_SHOWS_ANOTHER = sa.and_(_QUEUED, _C.reason.is_distinct_from(_WHY))
_ALL_SHOWING_ANOTHER = sa.and_(_SHOWS_ANOTHER, sa.not_(in_array(_C.id, "excluded")))
_THESE_SHOWING_ANOTHER = sa.and_(_SHOWS_ANOTHER, in_array(_C.id, "these"))
_ANY_SHOWING_ANOTHER = sa.select(sa.literal(1)).where(_ALL_SHOWING_ANOTHER).limit(1)
_SET_ALL = sa.update(payouts).where(_ALL_SHOWING_ANOTHER).values(reason=_WHY)
_SET_THESE = sa.update(payouts).where(_THESE_SHOWING_ANOTHER).values(reason=_WHY)


async def _read(conn: AsyncConnection, query: sa.Select[Any], **parameters: Any) -> list[Payout]:
    return [to_payout(row) for row in (await conn.execute(query, parameters)).fetchall()]


async def heads(
    conn: AsyncConnection, wallet: str, token: str, limit: int, excluded: Collection[str] = ()
) -> list[Payout]:
    """Return the first payouts of the queue, the earliest purchase first, without the ids in `excluded`."""
    return await _read(conn, _HEADS, of_wallet=wallet, in_token=token, max_rows=limit, excluded=list(excluded))


async def held_alone(conn: AsyncConnection, wallet: str, limit: int, after: str = "") -> list[Payout]:
    """Return payouts held alone that are checked again without a person, with ids above `after`, in the order of their ids."""
    return await _read(conn, _HELD_ALONE, of_wallet=wallet, max_rows=limit, after=after)


async def of_other_token(conn: AsyncConnection, wallet: str, token: str) -> list[Payout]:
    """Return waiting payouts owed in another token than `token`, and payouts held because of their token, if that is `token` again."""
    return await _read(conn, _OTHER_TOKEN, of_wallet=wallet, in_token=token)


async def unsigned(conn: AsyncConnection, wallet: str, *, excluding: Reason) -> list[Payout]:
    """Return the payouts that queue for a nonce, the earliest purchase first, except those that are already held for the reason `excluding`."""
    waiting = sa.or_(_C.status.in_([Status.PLANNED, Status.APPROVED]), _held_for(RECHECKED - HELD_ALONE - {excluding}))
    return await _read(conn, sa.select(payouts).where(_UNSIGNED, waiting).order_by(*_ORDER), of_wallet=wallet)


async def stopped(conn: AsyncConnection, wallet: str) -> list[Payout]:
    """Return the payouts that are held together with all others, the earliest purchase first."""
    return await _read(conn, _HELD_TOGETHER, of_wallet=wallet)


async def any_reason_differs(
    conn: AsyncConnection, wallet: str, reason: Reason | None, excluded: Collection[str]
) -> bool:
    """Return whether a queued payout outside `excluded` (ids) shows another reason than `reason`."""
    parameters = {"of_wallet": wallet, "why": reason, "excluded": list(excluded)}
    return (await conn.execute(_ANY_SHOWING_ANOTHER, parameters)).first() is not None


async def set_reasons(
    conn: AsyncConnection, wallet: str, reason: Reason | None, exceptions: Mapping[str, Reason]
) -> None:
    """Set the reason of every queued payout to `reason`, and of those in `exceptions` (by id) to their own.

    This takes one statement for each reason, however many payouts wait; rows that show it already are not written.
    """
    parameters: dict[str, Any] = {"of_wallet": wallet, "why": reason, "excluded": list(exceptions)}
    await conn.execute(_SET_ALL, parameters)
    for own_reason in sorted(set(exceptions.values())):
        these = [payout_id for payout_id, own in exceptions.items() if own is own_reason]
        await conn.execute(_SET_THESE, {"of_wallet": wallet, "why": own_reason, "these": these})


GRACE: Final = timedelta(seconds=5)
"""The time after a change during which a payout may wait without a reason."""


@dataclass(frozen=True, slots=True)
class Leadership:
    """The wallets that were ever led, and for each whether a process leads it at the time `now`.

    The reason of a payout without a stored reason depends on it.
    """

    wallets: Mapping[str, bool]
    now: datetime

    def with_reason(self, payout: Payout) -> Payout:
        """Return the payout as people see it: with a reason if it has waited for a nonce for longer than GRACE."""
        waits = payout.status in {Status.PLANNED, Status.APPROVED} and payout.transaction_id is None
        is_led = self.wallets.get(payout.wallet)
        if not waits or is_led is None or self.now - payout.updated_at < GRACE:
            return payout
        if not is_led:
            return replace(payout, reason=Reason.NO_LEADER)
        return payout if payout.reason is not None else replace(payout, reason=Reason.QUEUED)


def is_without_leader(wallet: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a process led this wallet once and no process does now, by the database's clock."""
    # The id of a lease is the chain id, a colon and the wallet; neither holds a wildcard.
    has_ended = sa.or_(leaders.c.lease_until.is_(None), leaders.c.lease_until <= db_now())
    return sa.exists().where(has_ended, leaders.c.id.like(sa.literal("%:") + wallet))


async def leadership(conn: AsyncConnection) -> Leadership:
    """Return which wallets are led now, by the database's clock."""
    rows = (await conn.execute(sa.select(leaders.c.id, leaders.c.lease_until))).fetchall()
    now = (await conn.execute(sa.select(db_now()))).scalar_one()
    led = {row.id.partition(":")[2]: row.lease_until is not None and row.lease_until > now for row in rows}
    return Leadership(led, now)


async def page(
    conn: AsyncConnection, *, limit: int = 50, chosen: Filter = EVERYTHING, before: Position | None = None
) -> list[Payout]:
    """Return payouts as people see them, newest first: those that `chosen` selects, with `before` those after that position of the list.

    A reason that is only shown and not stored (`queued`, `no_leader`) selects none.
    """
    leads = await leadership(conn)
    rows = await payouts_service.page(conn, limit=limit, chosen=chosen, before=before)
    return [leads.with_reason(payout) for payout in rows]
