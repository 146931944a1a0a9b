"""The payouts of one wallet that wait for a nonce: whose turn it is, who is held beside the queue, and why each waits.

The queue is in the order in which purchases were paid. A payout that something speaks against leaves it with a status of its own,
so that nobody waits behind it; only what concerns the wallet as a whole (too little MUSD or gas, fees above the ceiling) makes the
first of the queue wait, and with it everybody behind.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.types import db_now, in_array
from treasury.core.leader import leaders
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.payouts import service as payouts_service
from treasury.payouts.states import ASIDE, COMES_BACK, STOPPED
from treasury.payouts.table import Payout, payouts, to_payout

_C = payouts.c
_UNSIGNED = sa.and_(_C.wallet == sa.bindparam("of_wallet"), _C.transaction_id.is_(None))
_QUEUED = sa.and_(_UNSIGNED, _C.status.in_([Status.PLANNED, Status.APPROVED]))
_HELD = sa.and_(_UNSIGNED, _C.status == Status.HELD)
_ORDER = (_C.created_at, _C.id)


def _held_for(reasons: Collection[Reason]) -> sa.ColumnElement[bool]:
    return sa.and_(_C.status == Status.HELD, _C.reason.in_(sorted(reasons)))


# Written once: the sender asks in each cycle, and building the text cost more than its run.
_HEADS = (
    sa.select(payouts)
    .where(
        _UNSIGNED,
        _C.token == sa.bindparam("in_token"),
        sa.or_(_C.status.in_([Status.PLANNED, Status.APPROVED]), _held_for(COMES_BACK - ASIDE)),
        sa.not_(in_array(_C.id, "besides")),
    )
    .order_by(*_ORDER)
    .limit(sa.bindparam("most", type_=sa.Integer()))
)
_STOPPED = sa.select(payouts).where(_HELD, _C.reason.in_(sorted(STOPPED))).order_by(*_ORDER)
_ASIDE = (
    sa.select(payouts)
    .where(_HELD, _C.reason.in_(sorted(ASIDE)), _C.id > sa.bindparam("after"))
    .order_by(_C.id)
    .limit(sa.bindparam("most", type_=sa.Integer()))
)
_OTHER_TOKEN = sa.select(payouts).where(
    _UNSIGNED,
    _C.status.in_([Status.PLANNED, Status.APPROVED, Status.HELD]),
    sa.or_(
        sa.and_(
            _C.token != sa.bindparam("in_token"),
            sa.or_(_C.status.in_([Status.PLANNED, Status.APPROVED]), _held_for(COMES_BACK - ASIDE)),
        ),
        sa.and_(_C.token == sa.bindparam("in_token"), _held_for({Reason.TOKEN_CHANGED})),
    ),
)
_WHY = sa.bindparam("why", type_=sa.String())
_SAID_OTHERWISE = sa.and_(_QUEUED, _C.reason.is_distinct_from(_WHY))
_ALL_OTHERWISE = sa.and_(_SAID_OTHERWISE, sa.not_(in_array(_C.id, "besides")))
_THESE_OTHERWISE = sa.and_(_SAID_OTHERWISE, in_array(_C.id, "these"))
_ANY_OTHERWISE = sa.select(sa.literal(1)).where(_ALL_OTHERWISE).limit(1)
_SAY_ALL = sa.update(payouts).where(_ALL_OTHERWISE).values(reason=_WHY)
_SAY_THESE = sa.update(payouts).where(_THESE_OTHERWISE).values(reason=_WHY)


async def _read(conn: AsyncConnection, query: sa.Select[Any], **known: Any) -> list[Payout]:
    return [to_payout(row) for row in (await conn.execute(query, known)).fetchall()]


async def heads(
    conn: AsyncConnection, wallet: str, token: str, most: int, besides: Collection[str] = ()
) -> list[Payout]:
    """Return the first of the queue, the first paid first, without the ids in `besides`."""
    return await _read(conn, _HEADS, of_wallet=wallet, in_token=token, most=most, besides=list(besides))


async def held_alone(conn: AsyncConnection, wallet: str, most: int, after: str = "") -> list[Payout]:
    """Return payouts that are held alone and looked at again without a person, by id, those above the id `after`."""
    return await _read(conn, _ASIDE, of_wallet=wallet, most=most, after=after)


async def of_other_token(conn: AsyncConnection, wallet: str, token: str) -> list[Payout]:
    """Return waiting payouts owed in another token than `token`, and those held for that whose token is `token` again."""
    return await _read(conn, _OTHER_TOKEN, of_wallet=wallet, in_token=token)


async def unsigned(conn: AsyncConnection, wallet: str, *, besides: Reason) -> list[Payout]:
    """Return those that queue for a nonce, the first paid first, without those held for `besides` already."""
    waiting = sa.or_(_C.status.in_([Status.PLANNED, Status.APPROVED]), _held_for(COMES_BACK - ASIDE - {besides}))
    return await _read(conn, sa.select(payouts).where(_UNSIGNED, waiting).order_by(*_ORDER), of_wallet=wallet)


async def stopped(conn: AsyncConnection, wallet: str) -> list[Payout]:
    """Return those held together with all others, the first paid first."""
    return await _read(conn, _STOPPED, of_wallet=wallet)


async def any_reason_differs(conn: AsyncConnection, wallet: str, why: Reason | None, besides: Collection[str]) -> bool:
    """Return whether a queued payout outside `besides` shows another reason than `why`."""
    known = {"of_wallet": wallet, "why": why, "besides": list(besides)}
    return (await conn.execute(_ANY_OTHERWISE, known)).first() is not None


async def set_reasons(conn: AsyncConnection, wallet: str, why: Reason | None, alone: Mapping[str, Reason]) -> None:
    """Set the reason of every queued payout to `why`, and of those in `alone`, by id, to their own.

    A statement for each reason, however many wait; rows that show it already are not written.
    """
    await conn.execute(_SAY_ALL, {"of_wallet": wallet, "why": why, "besides": list(alone)})
    for reason in sorted(set(alone.values())):
        these = [payout_id for payout_id, own in alone.items() if own is reason]
        await conn.execute(_SAY_THESE, {"of_wallet": wallet, "why": reason, "these": these})


MOMENT: Final = timedelta(seconds=5)
"""A payout that changed no longer ago needs no reason to wait."""


@dataclass(frozen=True, slots=True)
class Leadership:
    """Whether a process leads each wallet that was ever led, which decides what a payout without a stored reason waits for."""

    wallets: Mapping[str, bool]
    now: datetime

    def shown(self, payout: Payout) -> Payout:
        """Return the payout as people see it: one that waits for a nonce says why, once it has waited for longer than a moment."""
        waits = payout.status in {Status.PLANNED, Status.APPROVED} and payout.transaction_id is None
        is_led = self.wallets.get(payout.wallet)
        if not waits or is_led is None or self.now - payout.updated_at < MOMENT:
            return payout
        if not is_led:
            return replace(payout, reason=Reason.NO_LEADER)
        return payout if payout.reason is not None else replace(payout, reason=Reason.QUEUED)


def is_without_leader(wallet: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a process led this wallet once and none does now, judged by the database's clock."""
    # The id of a lease is the chain id, a colon and the wallet; neither holds a wildcard.
    over = sa.or_(leaders.c.lease_until.is_(None), leaders.c.lease_until <= db_now())
    return sa.exists().where(over, leaders.c.id.like(sa.literal("%:") + wallet))


async def leadership(conn: AsyncConnection) -> Leadership:
    """Return which wallets are led now."""
    rows = (await conn.execute(sa.select(leaders.c.id, leaders.c.lease_until))).fetchall()
    now = (await conn.execute(sa.select(db_now()))).scalar_one()
    led = {row.id.partition(":")[2]: row.lease_until is not None and row.lease_until > now for row in rows}
    return Leadership(led, now)


async def page(
    conn: AsyncConnection, *, limit: int = 50, status: Status | None = None, before: tuple[datetime, str] | None = None
) -> list[Payout]:
    """Return payouts as people see them, the newest first; `before` is the (created_at, id) of the last one seen."""
    told = await leadership(conn)
    return [
        told.shown(payout) for payout in await payouts_service.page(conn, limit=limit, status=status, before=before)
    ]
