"""The one route that Stripe calls."""

from aiohttp import web

from kit.http.routes import Document, Route, reply
from onramp.services import SERVICES
from onramp.webhooks.intake import BODY_LIMIT


class Received(Document):
    """The event is durable."""

    received: bool


class StripeEventBody(Document):
    """A snapshot event as Stripe sends it; only ids, type and status are read, and none of it is believed."""

    id: str
    type: str


async def receive(request: web.Request) -> web.StreamResponse:
    """Verify, store, answer."""
    await request.app[SERVICES].intake.receive(request)
    return reply(Received(received=True))


ROUTES = (
    Route(
        "POST",
        "/api/v1/webhooks/stripe",
        receive,
        "stripe",
        "Take an event of Stripe's in.",
        "stripe_webhook",
        body=StripeEventBody,
        answer=Received,
        raw=True,
        limit=BODY_LIMIT,
        also={400: "Unsigned, stale, from the future, or malformed."},
    ),
)
