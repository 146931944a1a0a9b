"""Quotes over HTTP."""

from aiohttp import web

from kit.http.routes import Route, query_of, reply
from onramp.bootstrap.services import SERVICES
from onramp.quotes.schemas import QuoteQuery, QuoteResponse


async def quote(request: web.Request) -> web.StreamResponse:
    """An estimate."""
    return reply(await request.app[SERVICES].quotes.quote(query_of(request, QuoteQuery)))


ROUTES = (
    Route(
        "GET",
        "/api/v1/onramp/quotes",
        quote,
        "anyone",
        "What a purchase would cost and bring; an estimate.",
        "quote",
        query=QuoteQuery,
        answer=QuoteResponse,
    ),
)
