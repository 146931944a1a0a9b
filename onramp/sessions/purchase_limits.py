"""Limit how much one wallet may buy in a day and in a month, when a purchase starts and again before it is paid out."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.http.problems import Problem
from kit.money import Money, format_units
from onramp.sessions.config import SessionConfig
from onramp.sessions.model import FIAT_DECIMALS
from onramp.sessions.states import PAID
from onramp.sessions.stock import UNITS_PER_MINOR, max_paid_unattended
from onramp.sessions.table import sessions
from treasury.core.assets import MUSD_DECIMALS
from treasury.payouts import queries as payout_queries
from treasury.payouts.model import Payout

DAY: Final = timedelta(days=1)
MONTH: Final = timedelta(days=30)


def limits(config: SessionConfig) -> list[tuple[str, timedelta, int]]:
    """Return (setting, window, hundredths) of each limit that is set. A euro counts as a dollar, as in SESSION_MAX_AMOUNT."""
    candidates = (
        ("WALLET_DAILY_LIMIT", DAY, config.wallet_day_minor),
        ("WALLET_MONTHLY_LIMIT", MONTH, config.wallet_month_minor),
    )
    return [(name, window, max_minor) for name, window, max_minor in candidates if max_minor is not None]


async def require(conn: AsyncConnection, config: SessionConfig, wallet: str, source: Money, now: datetime) -> None:
    """Raise Problem 422 `wallet_limit` if this wallet (EIP-55) would buy more than a limit allows.

    Only purchases that were paid, or are being paid, count. Anyone may start purchases for any wallet, so an unpaid purchase, however far
    it got, must not use up the limit of that wallet's owner. Several started at once can therefore pass together; `payouts_above` holds
    what exceeds the limit before it is paid out. The detail does not reveal what the wallet bought.
    """
    for _, window, max_minor in limits(config):
        query = sa.select(sa.func.coalesce(sa.func.sum(sessions.c.source_minor), 0)).where(
            sessions.c.wallet_address == wallet,
            sessions.c.created_at > now - window,
            sessions.c.payment_status.in_(PAID),
        )
        if int((await conn.execute(query)).scalar_one()) + source.minor > max_minor:
            raise Problem(
                422,
                "wallet_limit",
                f"One wallet may buy {format_units(max_minor, FIAT_DECIMALS)} in {_window_text(window)}, and this would be more. "
                "Nothing was charged; try a smaller amount, or later.",
            )


async def payouts_above(
    conn: AsyncConnection, config: SessionConfig, queue: Sequence[Payout], now: datetime
) -> list[str | None]:
    """Return, for each payout of the queue, the limit that it or its recipient would exceed, as a sentence; None if it exceeds none.

    Payouts earlier in the queue count as paid.
    """
    exceeded = await _above_session_max(conn, config, queue)
    for name, window, max_minor in limits(config):
        max_units = max_minor * UNITS_PER_MINOR
        paid = await payout_queries.paid_to_recipients(conn, queue, now - window)
        for position, payout in enumerate(queue):
            paid[payout.to] = paid.get(payout.to, 0) + payout.amount
            if paid[payout.to] > max_units and exceeded[position] is None:
                text = format_units(max_units, MUSD_DECIMALS)
                exceeded[position] = f"{name}: its recipient would get more than {text} MUSD in {_window_text(window)}"
    return exceeded


async def _above_session_max(conn: AsyncConnection, config: SessionConfig, queue: Sequence[Payout]) -> list[str | None]:
    """Return, for each payout, a sentence if it is more than a purchase of SESSION_MAX_AMOUNT can deliver.

    Stripe lets a buyer change the amount on its own page, so what create allowed does not limit what is owed.
    """
    exceeded: list[str | None] = [None] * len(queue)
    large = [payout for payout in queue if payout.amount > config.max_minor * UNITS_PER_MINOR]
    if not large:
        return exceeded
    query = sa.select(sessions.c.id, sessions.c.source_currency).where(
        sessions.c.id.in_([payout.session_id for payout in large])
    )
    currencies = {row.id: row.source_currency for row in await conn.execute(query)}
    for position, payout in enumerate(queue):
        max_units = max_paid_unattended(Money(config.max_minor, currencies.get(payout.session_id, "")))
        if payout.amount > max_units:
            text = format_units(max_units, MUSD_DECIMALS)
            exceeded[position] = (
                f"SESSION_MAX_AMOUNT: it is above {text} MUSD, the most that one purchase may deliver without approval"
            )
    return exceeded


def _window_text(window: timedelta) -> str:
    return "24 hours" if window == DAY else f"{window.days} days"
