"""Quotes over HTTP."""

from aiohttp import web

from kit.http.documents import reply
from kit.http.parsing import query_of
from kit.http.routing import Route
from onramp.quotes.schemas import QuoteQuery, QuoteResponse
from onramp.quotes.service import Quotes
from onramp.sessions.problem_codes import OTHER_STRIPE_REFUSALS, STRIPE_REFUSALS

QUOTES = web.AppKey("quotes", Quotes)


async def quote(request: web.Request) -> web.StreamResponse:
    """Return an estimate of a purchase."""
    return reply(await request.app[QUOTES].quote(query_of(request, QuoteQuery)))


ROUTES = (
    Route(
        "GET",
        "/api/v1/onramp/quotes",
        quote,
        access="anyone",
        summary="Estimate what a purchase would cost and deliver.",
        name="quote",
        query=QuoteQuery,
        response=QuoteResponse,
        codes={422: STRIPE_REFUSALS, 503: ("stripe_unavailable", "paused", "quotes_busy")},
        foreign_codes={422: OTHER_STRIPE_REFUSALS},
    ),
)
