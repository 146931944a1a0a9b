"""The controls of a test, beside Stripe's API: JSON in, JSON out, no key."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from onramp.dev.stripe.account import Sandbox
from onramp.dev.stripe.errors import StripeError, bad
from onramp.dev.stripe.faults import Chaos, Fault
from onramp.dev.stripe.session import Session
from onramp.dev.stripe.walk import Edits

Model = TypeVar("Model", bound=BaseModel)


class Advance(BaseModel):
    """Where a session goes, and what is different from what was asked."""

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
    """Another URL, other secrets, as when a secret is rolled; what is absent stays."""

    model_config = ConfigDict(extra="forbid")

    url: str | None = None
    secrets: tuple[str, ...] | None = None


class Controls:
    """What a test does to an account."""

    def __init__(self, account: Sandbox) -> None:
        """`account` obeys."""
        self._account = account

    def routes(self) -> list[web.RouteDef]:
        """As aiohttp takes them."""
        return [
            web.get("/sandbox", refusing(self.overview)),
            web.get("/sandbox/onramp_sessions/{id}", refusing(self.show)),
            web.post("/sandbox/onramp_sessions/{id}/advance", refusing(self.advance)),
            web.post("/sandbox/events/{id}/resend", refusing(self.resend)),
            web.post("/sandbox/faults", refusing(self.faults)),
            web.post("/sandbox/chaos", refusing(self.chaos)),
            web.post("/sandbox/endpoint", refusing(self.endpoint)),
            web.route("*", "/sandbox/elsewhere", refusing(self.elsewhere)),
        ]

    async def advance(self, request: web.Request) -> web.Response:
        """Walk a session forward the legal way."""
        wanted = _read(Advance, await request.read())
        session = self._account.store.get(request.match_info["id"])
        edits = Edits(**wanted.model_dump(exclude={"status", "events"}))
        self._account.walk(session, wanted.status, edits, wanted.events)
        return _json(self._shown(session))

    async def show(self, request: web.Request) -> web.Response:
        """A session with the deliveries attempted."""
        return _json(self._shown(self._account.store.get(request.match_info["id"])))

    def _shown(self, session: Session) -> dict[str, Any]:
        return {"session": session, "deliveries": self._account.sender.deliveries.get(session["id"], [])}

    async def resend(self, request: web.Request) -> web.Response:
        """Deliver one event again."""
        event = self._account.sender.events.get(request.match_info["id"])
        self._account.sender.resend(event)
        return _json(event)

    async def faults(self, request: web.Request) -> web.Response:
        """Add a fault; an empty object takes all of them back."""
        raw = await request.read()
        waiting = self._account.faults.waiting
        if raw.strip() in {b"", b"{}"}:
            waiting.clear()
        else:
            waiting.append(_read(Fault, raw))
        return _json({"faults": [fault.model_dump() for fault in waiting]})

    async def chaos(self, request: web.Request) -> web.Response:
        """Set how deliveries misbehave; what is absent behaves, so an empty object ends it."""
        self._account.sender.chaos = _read(Chaos, await request.read())
        return _json(self._account.sender.chaos.model_dump())

    async def endpoint(self, request: web.Request) -> web.Response:
        """Move the webhook endpoint, or roll its secrets."""
        change = _read(EndpointChange, await request.read())
        endpoint = self._account.sender.endpoint
        if "url" in change.model_fields_set:
            endpoint.url = change.url
        if change.secrets is not None:
            endpoint.secrets = change.secrets
        return _json({"url": endpoint.url, "secrets": len(endpoint.secrets)})

    async def elsewhere(self, request: web.Request) -> web.Response:
        """Where a redirect leads; a client that brings its key along is counted."""
        if "Authorization" in request.headers:
            self._account.leaks += 1
        return _json({"object": "elsewhere"})

    async def overview(self, _request: web.Request) -> web.Response:
        """Counts, and what is set to go wrong."""
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
    """A JSON object; nothing at all is an empty one."""
    try:
        value = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError as error:
        raise bad("sandbox_bad_request", "Send a JSON object.") from error
    if not isinstance(value, dict):
        raise bad("sandbox_bad_request", "Send a JSON object.")
    return value


def _json(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


def refusing(handler: Callable[[web.Request], Awaitable[web.Response]]) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Answer the errors of the controls and of the page in Stripe's shape; no middleware, for the API shall not pay for it."""

    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except StripeError as error:
            return error.response()

    return serve
