"""May another session be sold? Only if the hot wallet will still hold what it promises."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.types import UtcDateTime
from kit.http.problems import Problem
from onramp.sessions.config import RESERVE_FOR, SessionConfig
from onramp.sessions.table import sessions
from treasury import balances
from treasury.core.assets import MUSD

BELIEVED_FOR: Final = timedelta(minutes=15)
"""How long a balance counts after a treasury worker wrote it down, which it does every ten seconds, also while the chain halts.

A worker that is silent for longer pays nobody: what is sold meanwhile would be overdue before it is sent (DELIVERY_OVERDUE_MINUTES).
A restart, a deployment or another leader takes a minute or two.
"""
UNPAID_SHARE: Final = (1, 2)
"""Of what is free, the part that buyers who have not paid can reserve, all together.

Reaching the payment page costs nothing, so whoever reserves there must not be able to sell the service out for others. However many
purchases stand unpaid, one of up to half of what is free can always be begun. The price: in a rush, honest buyers may begin more than
there is. Then those who pay first are paid first, and the others wait (`insufficient`, with an alarm) for the next refill.
"""
UNITS_PER_MINOR: Final = 10**16
"""A hundredth of a dollar in base units of MUSD."""
_HEADROOM: Final = {"usd": (1, 1), "eur": (3, 2)}
"""What one unit of fiat may deliver at most in USDC: the dollar one; the euro well above any rate it had (1.6038 in 2008)."""
_OTHER_HEADROOM: Final = (4, 1)
"""For a row in a currency that create does not take: more than a unit of any currency is worth (the Kuwaiti dinar: 3.3)."""
_MAX_MINOR: Final = 10**12
"""No purchase counts for more, in hundredths: a sum of absurd rows must fit a database's integers."""


def ask(source_minor: int, currency: str) -> int:
    """The most MUSD, in base units, that a purchase of this size can come to owe."""
    numerator, denominator = _HEADROOM.get(currency, _OTHER_HEADROOM)
    return source_minor * UNITS_PER_MINOR * numerator // denominator


def most_delivered(source_minor: int, currency: str) -> int:
    """The most MUSD, in base units, that is paid without a person for a purchase of this size: in an unknown currency, a dollar a unit."""
    return ask(source_minor, currency if currency in _HEADROOM else "usd")


def _minor() -> sa.ColumnElement[int]:
    """The sum of what these purchases ask for, in hundredths; a row that no code of ours writes counts within bounds."""
    minor = sessions.c.source_minor
    return sa.func.sum(sa.case((minor < 0, 0), (minor > _MAX_MINOR, _MAX_MINOR), else_=minor)).label("minor")


# Written once: a statement's text and cache key cost more than its run.
_PROMISED = (
    sa.select(sessions.c.source_currency, sessions.c.payment_status, _minor())
    .where(
        sa.or_(
            sa.and_(
                sessions.c.payment_status == "requires_payment",
                sessions.c.payment_updated_at > sa.bindparam("since", type_=UtcDateTime()),
            ),
            sessions.c.payment_status == "fulfillment_processing",
        ),
        sessions.c.mode == "payout",
    )
    .group_by(sessions.c.source_currency, sessions.c.payment_status)
)


async def reserved(conn: AsyncConnection, available: int, now: datetime) -> int:
    """MUSD, in base units, that is promised out of `available`: to buyers whose payment is under way, and to those at the payment page.

    Those at the payment page, all together, never reserve more than UNPAID_SHARE of what the others leave.
    """
    paying, unpaid = 0, 0
    for row in await conn.execute(_PROMISED, {"since": now - RESERVE_FOR}):
        most = ask(int(row.minor), row.source_currency)
        if row.payment_status == "fulfillment_processing":
            paying += most
        else:
            unpaid += most
    numerator, denominator = UNPAID_SHARE
    return paying + min(unpaid, max(0, available - paying) * numerator // denominator)


_PROCESSING = (
    sa.select(sessions.c.source_currency, _minor())
    .where(sessions.c.payment_status == "fulfillment_processing", sessions.c.mode == "payout")
    .group_by(sessions.c.source_currency)
)


async def processing(conn: AsyncConnection) -> int:
    """MUSD, in base units, of buyers whose payment is under way: no sweep may take it."""
    return sum(ask(int(row.minor), row.source_currency) for row in await conn.execute(_PROCESSING))


@dataclass(frozen=True, slots=True)
class Stock:
    """What may be sold at one moment."""

    free: int | None
    """MUSD in base units that is promised to nobody; None where this service does not deliver itself."""
    unknown: str | None = None
    """Why nobody knows what the hot wallet holds, for operators; None where it is known."""

    def enough(self, source_minor: int, currency: str) -> bool:
        """Whether one more purchase of this size (in hundredths of `currency`) could be delivered."""
        if self.unknown is not None:
            return False
        return self.free is None or self.free >= ask(source_minor, currency)


async def stock(conn: AsyncConnection, rules: SessionConfig, now: datetime) -> Stock:
    """What may be sold now: the hot wallet's balance as a treasury worker last wrote it down, less what is promised."""
    if rules.mode != "payout" or rules.hot_wallet is None:
        return Stock(None)
    state = await balances.available(conn, rules.hot_wallet, MUSD)
    unknown = why_unknown(state.read_at, now)
    if unknown is not None:
        return Stock(0, unknown)
    return Stock(state.available - await reserved(conn, state.available, now))


def why_unknown(read_at: datetime | None, now: datetime) -> str | None:
    """Why a balance written down at `read_at` says nothing about `now`; None where it does."""
    remedy = "run `onramp work`, or `onramp serve` with its workers"
    if read_at is None:
        return f"no treasury worker has reported the hot wallet's balance yet, so nothing is sold: {remedy}"
    age = now - read_at
    if age <= BELIEVED_FOR:
        return None
    minutes = int(age.total_seconds() // 60)
    return (
        f"no treasury worker has reported the hot wallet's balance for {minutes} minutes, so nothing is sold: {remedy}. "
        "Where it runs, its log says what keeps it from the chain"
    )


async def require(conn: AsyncConnection, rules: SessionConfig, source_minor: int, currency: str, now: datetime) -> None:
    """Raise Problem 503 where one more purchase of this size may not be sold.

    `inventory_unknown`: no treasury worker has reported the balance lately. `inventory_low`: the wallet could not deliver it.
    """
    found = await stock(conn, rules, now)
    if found.unknown is not None:
        raise Problem(
            503,
            "inventory_unknown",
            "The service does not know at the moment how much MUSD it can deliver, so it sells none. Nothing was charged; try again in a moment.",
            headers={"Retry-After": "10"},
        )
    if not found.enough(source_minor, currency):
        raise Problem(
            503,
            "inventory_low",
            "There is not enough MUSD in stock for this amount right now. Nothing was charged; try a smaller amount, or later.",
            headers={"Retry-After": "60"},
        )
