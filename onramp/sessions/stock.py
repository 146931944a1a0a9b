"""Decide whether another session may be sold: only if the hot wallet will still hold the MUSD that it promises."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.types import UtcDateTime
from kit.http.problems import Problem
from kit.money import Money
from onramp.sessions.config import RESERVE_FOR, SessionConfig
from onramp.sessions.status import PaymentStatus
from onramp.sessions.table import sessions
from treasury import balances
from treasury.core.assets import MUSD

BELIEVED_FOR: Final = timedelta(minutes=15)
"""How long a balance counts after a treasury worker recorded it, which it does every ten seconds, even while the chain is halted.

If no worker records a balance for longer, no worker pays buyers either, and what is sold in that time would be overdue before it is paid
(DELIVERY_OVERDUE_MINUTES). A restart, a deployment or a change of leader takes a minute or two.
"""
UNPAID_SHARE: Final = (1, 2)
"""The part of the free MUSD that all buyers who have not paid can reserve together, as numerator and denominator.

Reaching the payment page costs nothing, so reservations there must not be able to sell the service out for others. However many
purchases are unpaid, one of up to half of the free MUSD can always be started. The price: in a rush, honest buyers may start more than
the wallet holds. Then those who pay first are paid first, and the others wait (`insufficient`, with an alarm) for the next refill.
"""
UNITS_PER_MINOR: Final = 10**16
"""How many base units of MUSD a hundredth of a dollar is."""
_HEADROOM: Final = {"usd": (1, 1), "eur": (3, 2)}
"""The most USDC that one unit of fiat may deliver: one for the dollar; for the euro well above its highest rate (1.6038 in 2008)."""
_OTHER_HEADROOM: Final = (4, 1)
"""The most USDC that one unit of a currency may deliver which create does not accept: more than any is worth (the Kuwaiti dinar: 3.3)."""
_MAX_MINOR: Final = 10**12
"""The largest purchase that is counted, in hundredths: a sum of absurd rows must fit a database's integers."""


def max_owed(source: Money) -> int:
    """Return the most MUSD, in base units, that a purchase of this size can come to owe."""
    numerator, denominator = _HEADROOM.get(source.currency, _OTHER_HEADROOM)
    return source.minor * UNITS_PER_MINOR * numerator // denominator


def max_paid_unattended(source: Money) -> int:
    """Return the most MUSD, in base units, that is paid for a purchase of this size without an operator's approval.

    In a currency that create does not accept, one unit counts as a dollar.
    """
    return max_owed(source if source.currency in _HEADROOM else Money(source.minor, "usd"))


def _source_sum() -> sa.ColumnElement[int]:
    """Return the sum of the purchases' source amounts, in hundredths; a row that our code cannot have written counts within bounds."""
    minor = sessions.c.source_minor
    return sa.func.sum(sa.case((minor < 0, 0), (minor > _MAX_MINOR, _MAX_MINOR), else_=minor)).label("minor")


# Built once: building a statement's text and cache key costs more than running it.
_PROMISED = (
    sa.select(sessions.c.source_currency, sessions.c.payment_status, _source_sum())
    .where(
        sa.or_(
            sa.and_(
                sessions.c.payment_status == PaymentStatus.REQUIRES_PAYMENT,
                sessions.c.payment_updated_at > sa.bindparam("since", type_=UtcDateTime()),
            ),
            sessions.c.payment_status == PaymentStatus.FULFILLMENT_PROCESSING,
        ),
        sessions.c.mode == "payout",
    )
    .group_by(sessions.c.source_currency, sessions.c.payment_status)
)


async def reserved(conn: AsyncConnection, available: int, now: datetime) -> int:
    """Return how many base units of MUSD of `available` are promised: to buyers whose payment is processing, and to those at the payment page.

    Those at the payment page together never reserve more than UNPAID_SHARE of what the others leave.
    """
    paying, unpaid = 0, 0
    for row in await conn.execute(_PROMISED, {"since": now - RESERVE_FOR}):
        units = max_owed(Money(int(row.minor), row.source_currency))
        if row.payment_status == PaymentStatus.FULFILLMENT_PROCESSING:
            paying += units
        else:
            unpaid += units
    numerator, denominator = UNPAID_SHARE
    return paying + min(unpaid, max(0, available - paying) * numerator // denominator)


_PROCESSING = (
    sa.select(sessions.c.source_currency, _source_sum())
    .where(sessions.c.payment_status == PaymentStatus.FULFILLMENT_PROCESSING, sessions.c.mode == "payout")
    .group_by(sessions.c.source_currency)
)


async def processing(conn: AsyncConnection) -> int:
    """Return the MUSD, in base units, of buyers whose payment is processing: no sweep may take it."""
    rows = await conn.execute(_PROCESSING)
    return sum(max_owed(Money(int(row.minor), row.source_currency)) for row in rows)


@dataclass(frozen=True, slots=True)
class Stock:
    """The amount of MUSD that may be sold at one moment."""

    free: int | None
    """The base units of MUSD that are not promised to a buyer; None if another party delivers."""
    unknown: str | None = None
    """Why the hot wallet's balance is not known, for operators; None if it is known."""

    def covers(self, source: Money) -> bool:
        """Return whether one more purchase of this size could be delivered."""
        if self.unknown is not None:
            return False
        return self.free is None or self.free >= max_owed(source)


async def stock(conn: AsyncConnection, config: SessionConfig, now: datetime) -> Stock:
    """Return how much may be sold now: the hot wallet's balance as a treasury worker last recorded it, less what is promised."""
    if config.mode != "payout" or config.hot_wallet is None:
        return Stock(None)
    state = await balances.available(conn, config.hot_wallet, MUSD)
    unknown = why_unknown(state.read_at, now)
    if unknown is not None:
        return Stock(0, unknown)
    return Stock(state.available - await reserved(conn, state.available, now))


def why_unknown(read_at: datetime | None, now: datetime) -> str | None:
    """Return why a balance recorded at `read_at` does not count at `now`; None if it counts."""
    remedy = "run `onramp work`, or `onramp serve` with its workers"
    if read_at is None:
        return f"no treasury worker has reported the hot wallet's balance yet, so nothing is sold: {remedy}"
    age = now - read_at
    if age <= BELIEVED_FOR:
        return None
    minutes = int(age.total_seconds() // 60)
    return (
        f"no treasury worker has reported the hot wallet's balance for {minutes} minutes, so nothing is sold: {remedy}. "
        "If one is running, its log says what keeps it from the chain"
    )


async def require(conn: AsyncConnection, config: SessionConfig, source: Money, now: datetime) -> None:
    """Raise Problem 503 if one more purchase of this size may not be sold.

    `inventory_unknown`: no treasury worker has reported the balance recently. `inventory_low`: the wallet could not deliver the purchase.
    """
    current = await stock(conn, config, now)
    if current.unknown is not None:
        raise Problem(
            503,
            "inventory_unknown",
            "The service does not know at the moment how much MUSD it can deliver, so it sells none. Nothing was charged; try again in a moment.",
            headers={"Retry-After": "10"},
        )
    if not current.covers(source):
        raise Problem(
            503,
            "inventory_low",
            "There is not enough MUSD in stock for this amount right now. Nothing was charged; try a smaller amount, or later.",
            headers={"Retry-After": "60"},
        )
