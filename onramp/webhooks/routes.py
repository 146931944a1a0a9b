"""The webhook route that Stripe calls."""

from typing import Final

from aiohttp import web

from kit.http.documents import Document
from kit.http.routing import Route
from onramp.webhooks.intake import BODY_LIMIT, Intake

INTAKE = web.AppKey("intake", Intake)


class Received(Document):
    """The response once the event is stored durably."""

    received: bool


class StripeEventBody(Document):
    """A snapshot event as Stripe sends it; only ids, type and status are read, and none of it is trusted."""

    id: str
    type: str


RECEIVED: Final = Received(received=True).model_dump_json().encode()


async def receive(request: web.Request) -> web.StreamResponse:
    """Verify an event and store it durably; answer that it was received."""
    await request.app[INTAKE].receive(request)
    return web.Response(body=RECEIVED, content_type="application/json")


ROUTES = (
    Route(
        "POST",
        "/api/v1/webhooks/stripe",
        receive,
        access="stripe",
        summary="Receive an event from Stripe.",
        name="stripe_webhook",
        body=StripeEventBody,
        response=Received,
        raw_body=True,
        limit=BODY_LIMIT,
        timeout=None,
        responses={
            400: "Unsigned, stale, from the future, or malformed.",
            403: "`address_not_allowed`: not one of STRIPE_WEBHOOK_ADDRESSES.",
        },
        codes={
            400: ("signature_invalid", "malformed_event"),
            403: ("address_not_allowed",),
            503: ("webhooks_not_configured",),
        },
    ),
)
