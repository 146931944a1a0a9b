"""May another session be sold? Only if the hot wallet will still hold what it promises."""

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.problems import Problem
from onramp.sessions.rules import RESERVE_FOR, SessionRules
from onramp.sessions.table import sessions
from treasury import inventory

UNITS_PER_MINOR: Final = 10**16
"""A hundredth of a dollar in base units of MUSD."""
_HEADROOM: Final = {"usd": (1, 1), "eur": (3, 2)}
"""What one unit of fiat may deliver at most in USDC: the dollar one; the euro well above any rate it had (1.6038 in 2008)."""


def ask(source_minor: int, currency: str) -> int:
    """The most MUSD, in base units, that a purchase of this size can come to owe."""
    numerator, denominator = _HEADROOM[currency]
    return source_minor * UNITS_PER_MINOR * numerator // denominator


async def reserved(connection: AsyncConnection, now: datetime) -> int:
    """MUSD promised to buyers who stand at the payment page, or whose payment is under way."""
    at_payment = sa.and_(
        sessions.c.payment_status == "requires_payment", sessions.c.payment_updated_at > now - RESERVE_FOR
    )
    promised = sa.or_(at_payment, sessions.c.payment_status == "fulfillment_processing")
    statement = (
        sa.select(sessions.c.source_currency, sa.func.sum(sessions.c.source_minor).label("minor"))
        .where(promised, sessions.c.mode == "payout")
        .group_by(sessions.c.source_currency)
    )
    return sum(ask(int(row.minor), row.source_currency) for row in await connection.execute(statement))


async def require(
    connection: AsyncConnection, rules: SessionRules, source_minor: int, currency: str, now: datetime
) -> None:
    """Raise 503 `inventory_low` where the wallet could not deliver one more purchase of this size."""
    if rules.mode != "payout" or rules.hot_wallet is None:
        return
    state = await inventory.available(connection, rules.hot_wallet, "MUSD")
    if state.available - await reserved(connection, now) < ask(source_minor, currency):
        raise Problem(
            503,
            "inventory_low",
            "There is not enough MUSD in stock for this amount right now. Nothing was charged; try a smaller amount, or later.",
            headers={"Retry-After": "60"},
        )
