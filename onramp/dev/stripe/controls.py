"""HTTP controls for tests, beside Stripe's API: JSON in, JSON out, no API key."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from onramp.dev.stripe.account import Sandbox
from onramp.dev.stripe.errors import StripeError, bad
from onramp.dev.stripe.faults import Chaos, Fault
from onramp.dev.stripe.lifecycle import Edits
from onramp.dev.stripe.session import Session

Model = TypeVar("Model", bound=BaseModel)


class Advance(BaseModel):
    """The request to move a session to a status, with fields that shall differ from the create request."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    status: str = "fulfillment_complete"
    events: Literal["once", "twice", "none", "late"] = "once"
    source_amount: str | None = None
    source_currency: str | None = None
    destination_amount: str | None = None
    destination_currency: str | None = None
    destination_network: str | None = None
    wallet_address: str | None = None
    transaction_id: str | None = None
    livemode: bool | None = None


class EndpointChange(BaseModel):
    """The request to set another URL or other secrets, as in a rotation; absent fields stay as they are."""

    model_config = ConfigDict(extra="forbid")

    url: str | None = None
    secrets: tuple[str, ...] | None = None


class Controls:
    """The HTTP controls with which a test changes an account."""

    def __init__(self, account: Sandbox) -> None:
        self._account = account

    def routes(self) -> list[web.RouteDef]:
        """Return the aiohttp routes."""
        return [
            web.get("/sandbox", with_stripe_errors(self.overview)),
            web.get("/sandbox/onramp_sessions/{id}", with_stripe_errors(self.show)),
            web.post("/sandbox/onramp_sessions/{id}/advance", with_stripe_errors(self.advance)),
            web.post("/sandbox/events/{id}/resend", with_stripe_errors(self.resend)),
            web.post("/sandbox/faults", with_stripe_errors(self.faults)),
            web.post("/sandbox/chaos", with_stripe_errors(self.chaos)),
            web.post("/sandbox/endpoint", with_stripe_errors(self.endpoint)),
            web.route("*", "/sandbox/elsewhere", with_stripe_errors(self.elsewhere)),
        ]

    async def advance(self, request: web.Request) -> web.Response:
        """Move a session forward by legal transitions."""
        target = _read(Advance, await request.read())
        session = self._account.store.get(request.match_info["id"])
        edits = Edits(**target.model_dump(exclude={"status", "events"}))
        self._account.walk(session, target.status, edits, target.events)
        return _json(self._with_deliveries(session))

    async def show(self, request: web.Request) -> web.Response:
        """Return a session with its attempted webhook deliveries."""
        return _json(self._with_deliveries(self._account.store.get(request.match_info["id"])))

    def _with_deliveries(self, session: Session) -> dict[str, Any]:
        return {"session": session, "deliveries": self._account.sender.deliveries.get(session["id"], [])}

    async def resend(self, request: web.Request) -> web.Response:
        """Deliver an event again."""
        event = self._account.sender.events.get(request.match_info["id"])
        self._account.sender.resend(event)
        return _json(event)

    async def faults(self, request: web.Request) -> web.Response:
        """Add a fault; an empty object removes all of them."""
        raw = await request.read()
        waiting = self._account.faults.waiting
        if raw.strip() in {b"", b"{}"}:
            waiting.clear()
        else:
            waiting.append(_read(Fault, raw))
        return _json({"faults": [fault.model_dump() for fault in waiting]})

    async def chaos(self, request: web.Request) -> web.Response:
        """Set how deliveries misbehave; absent fields mean good behaviour, so an empty object ends all of it."""
        self._account.sender.chaos = _read(Chaos, await request.read())
        return _json(self._account.sender.chaos.model_dump())

    async def endpoint(self, request: web.Request) -> web.Response:
        """Change the webhook endpoint's URL or its secrets."""
        change = _read(EndpointChange, await request.read())
        endpoint = self._account.sender.endpoint
        if "url" in change.model_fields_set:
            endpoint.url = change.url
        if change.secrets is not None:
            endpoint.secrets = change.secrets
        return _json({"url": endpoint.url, "secrets": len(endpoint.secrets)})

    async def elsewhere(self, request: web.Request) -> web.Response:
        """Serve as the target of redirects; count clients that send their API key here."""
        if "Authorization" in request.headers:
            self._account.leaks += 1
        return _json({"object": "elsewhere"})

    async def overview(self, _request: web.Request) -> web.Response:
        """Return counts, and the faults that are set."""
        account = self._account
        return _json(
            {
                "sessions": len(account.store.sessions),
                "events": len(account.sender.events),
                "requests": dict(account.requests),
                "leaks": account.leaks,
                "faults": [fault.model_dump() for fault in account.faults.waiting],
                "chaos": account.sender.chaos.model_dump(),
            }
        )


def _read(model: type[Model], raw: bytes) -> Model:
    try:
        return model.model_validate(read_object(raw))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise bad("sandbox_bad_request", f"{name}: {first['msg']}", name) from error


def read_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object; an empty body is an empty object."""
    try:
        value = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError as error:
        raise bad("sandbox_bad_request", "Send a JSON object.") from error
    if not isinstance(value, dict):
        raise bad("sandbox_bad_request", "Send a JSON object.")
    return value


def _json(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


def with_stripe_errors(
    handler: Callable[[web.Request], Awaitable[web.Response]],
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Return the handler so wrapped that a StripeError becomes a response. Not a middleware, so that the API has no cost from it."""

    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except StripeError as error:
            return error.response()

    return serve
