"""How much one wallet may buy in a day and in a month: asked when a purchase begins, and of the treasury before it pays."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.http.problems import Problem
from kit.money import format_units
from onramp.sessions.config import SessionConfig
from onramp.sessions.states import PAID
from onramp.sessions.stock import UNITS_PER_MINOR, most_delivered
from onramp.sessions.table import sessions
from treasury.core.assets import MUSD_DECIMALS
from treasury.core.status import Status
from treasury.payouts.table import Payout, payouts

DAY: Final = timedelta(days=1)
MONTH: Final = timedelta(days=30)
_FAILED: Final = (Status.REJECTED, Status.CANCELLED, Status.REVERTED)


def limits(rules: SessionConfig) -> list[tuple[str, timedelta, int]]:
    """(setting, window, hundredths) of each limit that is set. A euro counts as a dollar, as in SESSION_MAX_AMOUNT."""
    known = (
        ("WALLET_DAILY_LIMIT", DAY, rules.wallet_day_minor),
        ("WALLET_MONTHLY_LIMIT", MONTH, rules.wallet_month_minor),
    )
    return [(name, window, most) for name, window, most in known if most is not None]


async def require(conn: AsyncConnection, rules: SessionConfig, wallet: str, minor: int, now: datetime) -> None:
    """Raise 422 `wallet_limit` where this wallet (EIP-55) would buy too much.

    Only what was paid is counted, and what is being paid. Anybody may begin purchases for any wallet, so a purchase that nobody pays,
    however far it got, must take nothing from that wallet's owner. Several begun at once can therefore pass together; `payouts_above`
    holds what they come to above the limit before it is paid out. The sentence tells nobody what the wallet bought.
    """
    for _, window, most in limits(rules):
        query = sa.select(sa.func.coalesce(sa.func.sum(sessions.c.source_minor), 0)).where(
            sessions.c.wallet_address == wallet,
            sessions.c.created_at > now - window,
            sessions.c.payment_status.in_(PAID),
        )
        if int((await conn.execute(query)).scalar_one()) + minor > most:
            raise Problem(
                422,
                "wallet_limit",
                f"One wallet may buy {format_units(most, 2)} in {_words(window)}, and this would be more. Nothing was charged; "
                "try a smaller amount, or later.",
            )


async def payouts_above(
    conn: AsyncConnection, rules: SessionConfig, queue: Sequence[Payout], now: datetime
) -> list[str | None]:
    """For each payout, those before it counted as paid: the limit that it or its recipient would be above, as a sentence."""
    found = await _above_session_max(conn, rules, queue)
    for name, window, most in limits(rules):
        paid = await _paid(conn, queue, now - window)
        for place, payout in enumerate(queue):
            paid[payout.to] = paid.get(payout.to, 0) + payout.amount
            if paid[payout.to] > most * UNITS_PER_MINOR and found[place] is None:
                units = format_units(most * UNITS_PER_MINOR, MUSD_DECIMALS)
                found[place] = f"{name}: its recipient would get more than {units} MUSD in {_words(window)}"
    return found


async def _above_session_max(conn: AsyncConnection, rules: SessionConfig, queue: Sequence[Payout]) -> list[str | None]:
    """For each payout, whether it is more than a purchase of SESSION_MAX_AMOUNT can come to deliver.

    Stripe lets a buyer change the amount on its own page, so what create allowed does not bound what is owed.
    """
    found: list[str | None] = [None] * len(queue)
    large = [payout for payout in queue if payout.amount > rules.max_minor * UNITS_PER_MINOR]
    if not large:
        return found
    query = sa.select(sessions.c.id, sessions.c.source_currency).where(
        sessions.c.id.in_([payout.session_id for payout in large])
    )
    currencies = {row.id: row.source_currency for row in await conn.execute(query)}
    for place, payout in enumerate(queue):
        most = most_delivered(rules.max_minor, currencies.get(payout.session_id, ""))
        if payout.amount > most:
            units = format_units(most, MUSD_DECIMALS)
            found[place] = (
                f"SESSION_MAX_AMOUNT: it is above {units} MUSD, the most that one purchase may deliver unasked"
            )
    return found


async def _paid(conn: AsyncConnection, queue: Sequence[Payout], since: datetime) -> dict[str, int]:
    """Base units that each recipient of the queue was given a nonce for since, this queue left out."""
    p = payouts.c
    query = sa.select(p.to_address, p.amount).where(
        p.to_address.in_({payout.to for payout in queue}), p.id.not_in([payout.id for payout in queue]),
        p.transaction_id.is_not(None), p.status.not_in(_FAILED), p.created_at > since,
    )  # fmt: skip
    found: dict[str, int] = {}
    for row in await conn.execute(query):
        found[row.to_address] = found.get(row.to_address, 0) + row.amount
    return found


def _words(window: timedelta) -> str:
    return "24 hours" if window == DAY else f"{window.days} days"
