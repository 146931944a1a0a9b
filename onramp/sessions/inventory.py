"""May another session be sold? Only if the hot wallet will still hold what it promises."""

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.columns import UtcDateTime
from kit.problems import Problem
from onramp.sessions.rules import RESERVE_FOR, SessionRules
from onramp.sessions.table import sessions
from treasury import inventory
from treasury.assets import MUSD

UNITS_PER_MINOR: Final = 10**16
"""A hundredth of a dollar in base units of MUSD."""
_HEADROOM: Final = {"usd": (1, 1), "eur": (3, 2)}
"""What one unit of fiat may deliver at most in USDC: the dollar one; the euro well above any rate it had (1.6038 in 2008)."""


def ask(source_minor: int, currency: str) -> int:
    """The most MUSD, in base units, that a purchase of this size can come to owe."""
    numerator, denominator = _HEADROOM[currency]
    return source_minor * UNITS_PER_MINOR * numerator // denominator


# Written once: a statement's text and cache key cost more than its run.
_RESERVED = (
    sa.select(sessions.c.source_currency, sa.func.sum(sessions.c.source_minor).label("minor"))
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
    .group_by(sessions.c.source_currency)
)


async def reserved(connection: AsyncConnection, now: datetime) -> int:
    """MUSD promised to buyers who stand at the payment page, or whose payment is under way."""
    rows = await connection.execute(_RESERVED, {"since": now - RESERVE_FOR})
    return sum(ask(int(row.minor), row.source_currency) for row in rows)


_PROCESSING = (
    sa.select(sessions.c.source_currency, sa.func.sum(sessions.c.source_minor).label("minor"))
    .where(sessions.c.payment_status == "fulfillment_processing", sessions.c.mode == "payout")
    .group_by(sessions.c.source_currency)
)


async def processing(connection: AsyncConnection) -> int:
    """MUSD, in base units, of buyers whose payment is under way: no sweep may take it."""
    return sum(ask(int(row.minor), row.source_currency) for row in await connection.execute(_PROCESSING))


async def stock(connection: AsyncConnection, rules: SessionRules, now: datetime) -> int | None:
    """MUSD, in base units, that nobody has been promised; None where this service does not deliver itself."""
    if rules.mode != "payout" or rules.hot_wallet is None:
        return None
    state = await inventory.available(connection, rules.hot_wallet, MUSD)
    return state.available - await reserved(connection, now)


def enough(free: int | None, source_minor: int, currency: str) -> bool:
    """Whether one more purchase of this size could be delivered."""
    return free is None or free >= ask(source_minor, currency)


async def require(
    connection: AsyncConnection, rules: SessionRules, source_minor: int, currency: str, now: datetime
) -> None:
    """Raise 503 `inventory_low` where the wallet could not deliver one more purchase of this size."""
    if not enough(await stock(connection, rules, now), source_minor, currency):
        raise Problem(
            503,
            "inventory_low",
            "There is not enough MUSD in stock for this amount right now. Nothing was charged; try a smaller amount, or later.",
            headers={"Retry-After": "60"},
        )
