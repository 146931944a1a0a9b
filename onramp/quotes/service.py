"""Ask Stripe what it would deliver, and say how much MUSD that is."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kit.clock import Clock
from kit.db.database import Database
from kit.http.problems import FieldError, Problem, invalid
from kit.money import format_units, parse_units
from onramp.quotes.schemas import Fees, QuoteQuery, QuoteResponse
from onramp.sessions.config import SessionConfig
from onramp.sessions.model import USDC_TO_MUSD, expected_musd
from onramp.stripe.port import StripeGateway
from treasury.core.assets import MUSD_DECIMALS, USDC_DECIMALS
from treasury.pause import service as pause_service

KEEP: Final = timedelta(seconds=10)
LARGEST: Final = 1_000
MAX_A_SECOND: Final = 10
"""Questions to Stripe, which takes 25 a second of an account, 100 of a live one (docs.stripe.com/rate-limits): whoever asks for ever
other amounts must not use up what purchases need.
"""


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: QuoteResponse
    until: datetime


class Quotes:
    """Estimates, kept a few seconds: buyers who type share one question to Stripe."""

    def __init__(self, database: Database, stripe: StripeGateway, rules: SessionConfig, clock: Clock) -> None:
        """The rules give limits, fee and destination."""
        self._database = database
        self._stripe = stripe
        self._rules = rules
        self._clock = clock
        self._kept: dict[tuple[int, str], _Kept] = {}
        self._turn_at = 0.0

    async def quote(self, query: QuoteQuery) -> QuoteResponse:
        """The estimate; raises Problem 503 `paused` or `quotes_busy`, 422 outside the limits, and Stripe's own where it is unwell."""
        rules = self._rules
        minor = parse_units(query.source_amount, 2)
        if not rules.min_minor <= minor <= rules.max_minor:
            bounds = f"{format_units(rules.min_minor, 2)} and {format_units(rules.max_minor, 2)}"
            raise invalid([FieldError("/sourceAmount", f"must be between {bounds}")])
        async with self._database.read() as conn:
            await pause_service.require_sales(conn)
        key, now = (minor, query.source_currency), self._clock.now()
        kept = self._kept.get(key)
        if kept is not None and kept.until > now:
            return kept.answer
        await self._turn()
        estimate = await self._stripe.quotes(
            source_amount=format_units(minor, 2),
            source_currency=query.source_currency,
            destination_currency=rules.destination_currency,
            destination_network=rules.destination_network,
        )
        units = parse_units(estimate.destination_amount, USDC_DECIMALS)
        owed = expected_musd(units, rules.fee_bps)
        gross = units * USDC_TO_MUSD
        answer = QuoteResponse(
            source_amount=format_units(minor, 2),
            source_currency=query.source_currency,
            destination_amount=format_units(units, USDC_DECIMALS),
            destination_currency=rules.destination_currency,
            fees=Fees(
                network=estimate.network_fee,
                transaction=estimate.transaction_fee,
                payout=format_units(gross - owed, MUSD_DECIMALS),
            ),
            total=estimate.total,
            musd_amount=format_units(owed, MUSD_DECIMALS),
        )
        if len(self._kept) >= LARGEST:
            self._kept.clear()
        self._kept[key] = _Kept(answer, now + KEEP)
        return answer

    async def _turn(self) -> None:
        """Wait for a turn at Stripe, a second at the longest."""
        now = self._clock.monotonic()
        turn = max(self._turn_at, now - 1) + 1 / MAX_A_SECOND
        if turn > now + 1:
            raise Problem(
                503,
                "quotes_busy",
                "Many quotes are asked for just now. Try again in a moment.",
                headers={"Retry-After": "1"},
            )
        self._turn_at = turn
        if turn > now:
            await self._clock.sleep(turn - now)
