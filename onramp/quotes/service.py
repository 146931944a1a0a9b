"""Ask Stripe how much a purchase would deliver, and compute the MUSD that the buyer would get for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kit.clock import Clock
from kit.db.database import Database
from kit.http.problems import Problem, invalid
from kit.money import Money, format_units, parse_units
from onramp.quotes.schemas import Fees, QuoteQuery, QuoteResponse
from onramp.sessions.config import SessionConfig
from onramp.sessions.model import USDC_TO_MUSD, expected_musd
from onramp.sessions.purchase_request import outside_limits
from onramp.stripe.port import StripeGateway
from treasury.core.assets import MUSD_DECIMALS, USDC_DECIMALS
from treasury.pause import service as pause_service

CACHED_FOR: Final = timedelta(seconds=10)
MAX_CACHED: Final = 1_000
MAX_PER_SECOND: Final = 10
"""The most requests for quotes that are sent to Stripe in a second.

Stripe takes 25 requests a second from an account, 100 from a live one (docs.stripe.com/rate-limits): a client that keeps asking for new
amounts must not use up what purchases need.
"""
MAX_WAIT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Cached:
    response: QuoteResponse
    until: datetime


class Quotes:
    """Returns estimates and caches them for a few seconds, so that buyers who type share one request to Stripe."""

    def __init__(self, database: Database, stripe: StripeGateway, config: SessionConfig, clock: Clock) -> None:
        self._database = database
        self._stripe = stripe
        self._config = config
        self._clock = clock
        self._cache: dict[Money, _Cached] = {}
        self._next_turn = 0.0

    async def quote(self, query: QuoteQuery) -> QuoteResponse:
        """Return the estimate for the amount in `query`.

        Raises Problem: 422 outside the limits, 503 `paused` or `quotes_busy`, and Stripe's own problems.
        """
        source = query.source
        if (error := outside_limits(source, self._config)) is not None:
            raise invalid([error])
        async with self._database.read() as conn:
            await pause_service.require_sales(conn)
        now = self._clock.now()
        cached = self._cache.get(source)
        if cached is not None and cached.until > now:
            return cached.response
        await self._wait_for_turn()
        response = await self._ask_stripe(source)
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[source] = _Cached(response, now + CACHED_FOR)
        return response

    async def _ask_stripe(self, source: Money) -> QuoteResponse:
        config = self._config
        estimate = await self._stripe.quotes(
            source_amount=source.text,
            source_currency=source.currency,
            destination_currency=config.destination_currency,
            destination_network=config.destination_network,
        )
        delivered_units = parse_units(estimate.destination_amount, USDC_DECIMALS)
        expected_units = expected_musd(delivered_units, config.fee_bps)
        return QuoteResponse(
            source_amount=source.text,
            source_currency=source.currency,
            destination_amount=format_units(delivered_units, USDC_DECIMALS),
            destination_currency=config.destination_currency,
            fees=Fees(
                network=estimate.network_fee,
                transaction=estimate.transaction_fee,
                payout=format_units(delivered_units * USDC_TO_MUSD - expected_units, MUSD_DECIMALS),
            ),
            total=estimate.total,
            musd_amount=format_units(expected_units, MUSD_DECIMALS),
        )

    async def _wait_for_turn(self) -> None:
        """Wait until another request may be sent to Stripe. Raises Problem 503 `quotes_busy` if that is more than a second away."""
        now = self._clock.monotonic()
        turn = max(self._next_turn, now - MAX_WAIT_SECONDS) + 1 / MAX_PER_SECOND
        if turn > now + MAX_WAIT_SECONDS:
            raise Problem(
                503,
                "quotes_busy",
                "Many quotes are being requested. Try again in a moment.",
                headers={"Retry-After": "1"},
            )
        self._next_turn = turn
        if turn > now:
            await self._clock.sleep(turn - now)
