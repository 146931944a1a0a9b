"""Stripe's API: authentication, idempotency, simulated faults, and the handlers, which only compute."""

import base64
import binascii
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
from aiohttp import web

from onramp.dev.stripe import form
from onramp.dev.stripe.account import Sandbox
from onramp.dev.stripe.errors import StripeError, bad, unknown_parameter
from onramp.dev.stripe.faults import Fault, FaultKind, broken
from onramp.dev.stripe.lifecycle import ORDER, REJECTED
from onramp.dev.stripe.params import read_create
from onramp.dev.stripe.quotes import quotes
from onramp.dev.stripe.session import rendered

SESSIONS: Final = "/v1/crypto/onramp_sessions"
Params = dict[str, Any]
Handler = Callable[[web.Request, Params], Any]
_BETA: Final = "crypto_onramp_beta="
_FORM: Final = "application/x-www-form-urlencoded"
_LIST: Final = frozenset({"limit", "starting_after", "ending_before", "created", "expand"})


class Api:
    """The endpoints of one account, as aiohttp handlers."""

    def __init__(self, account: Sandbox) -> None:
        self._account = account
        self._tokens = account.config.secret_keys

    def routes(self) -> list[web.RouteDef]:
        """Return the aiohttp routes; every other URL under /v1/ is one that Stripe does not recognise."""
        get = (
            (SESSIONS, self.sessions),
            (SESSIONS + "/{id}", self.session),
            ("/v1/crypto/onramp_quotes", self.quotes),
            ("/v1/crypto/onramp/quotes", self.quotes),
            ("/v1/events", self.events),
            ("/v1/events/{id}", self.event),
        )
        return [
            web.post(SESSIONS, self._serve(f"POST {SESSIONS}", self.create)),
            *(web.get(path, self._serve(f"GET {path}", handler), allow_head=False) for path, handler in get),
            web.route("*", "/v1/{tail:.*}", self._serve("unrecognised", self.unrecognised)),
        ]

    def create(self, request: web.Request, params: Params) -> Any:
        """Create a session."""
        surface = self._surface(request)
        session = self._account.create(read_create(params, self._account.config, surface))
        return rendered(session, surface)

    def session(self, request: web.Request, params: Params) -> Any:
        """Return one session."""
        form.require_known(params, ("expand",))
        return rendered(self._account.store.get(request.match_info["id"]), self._surface(request))

    def sessions(self, request: web.Request, params: Params) -> Any:
        """Return a page of sessions, the newest first."""
        surface = self._surface(request)
        form.require_known(params, _LIST | {"status", "destination_currency", "destination_network"})
        status = form.text(params, "status")
        if status is not None and status not in {*ORDER, REJECTED}:
            raise bad(None, f"Invalid status: must be one of {', '.join((*ORDER, REJECTED))}", "status")
        names = ("destination_currency", "destination_network")
        filters = {name: value for name in names if (value := form.text(params, name)) is not None}

        def matches(row: dict[str, Any]) -> bool:
            details = row["transaction_details"]
            return status in {None, row["status"]} and all(details[name] == value for name, value in filters.items())

        rows, more = self._account.store.sessions.page(params, matches)
        return {"object": "list", "url": SESSIONS, "has_more": more, "data": [rendered(row, surface) for row in rows]}

    def quotes(self, _request: web.Request, params: Params) -> Any:
        """Return price estimates."""
        return quotes(params, self._account.config)

    def events(self, _request: web.Request, params: Params) -> Any:
        """Return a page of events, the newest first."""
        form.require_known(params, _LIST | {"type", "types", "delivery_success"})
        kinds = form.listing(params, "types") or ()
        kind, success = form.text(params, "type"), form.boolean(params, "delivery_success")
        if kind is not None:
            kinds = (*kinds, kind)
        delivered = self._account.sender.delivered
        rows, more = self._account.sender.events.page(
            params,
            lambda row: (not kinds or row["type"] in kinds) and success in {None, row["id"] in delivered},
        )
        return {"object": "list", "url": "/v1/events", "has_more": more, "data": rows}

    def event(self, request: web.Request, params: Params) -> Any:
        """Return one event."""
        form.require_known(params, ("expand",))
        return self._account.sender.events.get(request.match_info["id"])

    def unrecognised(self, request: web.Request, _params: Params) -> Any:
        """Refuse the URL with a 404."""
        raise StripeError(404, None, f"Unrecognized request URL ({request.method}: {request.path}).")

    def _surface(self, request: web.Request) -> str:
        version = request.headers.get("Stripe-Version", "")
        if _BETA in version:
            if not self._account.config.beta_entitled:
                raise bad(None, "You do not have permission to pass this beta header: crypto_onramp_beta.")
            return "v1" if version.partition(_BETA)[2].startswith("v1") else "v2"
        return self._account.config.api_surface

    def _serve(self, name: str, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        account = self._account
        counts = account.requests

        async def serve(request: web.Request) -> web.StreamResponse:
            counts[name] += 1
            request_id = "req_" + secrets.token_hex(7)
            try:
                self._authenticate(request)
                fault = account.faults.take(request.method, request.path) if account.faults.waiting else None
                response = await self._run(request, handler, fault, request_id)
            except StripeError as error:
                response = error.response()
            if not response.prepared:
                response.headers["Request-Id"] = request_id
            return response

        return serve

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                token = base64.b64decode(token).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                token = ""
        if token in self._tokens:
            return
        if not token:
            message = "You did not provide an API key."
        elif token.startswith("pk_"):
            message = "This API call cannot be made with a publishable API key."
        else:
            message = f"Invalid API Key provided: {token[:7]}****"
        raise StripeError(401, None, message, headers={"WWW-Authenticate": 'Basic realm="Stripe"'})

    async def _run(
        self, request: web.Request, handler: Handler, fault: Fault | None, request_id: str
    ) -> web.StreamResponse:
        raw = await request.read() if request.method == "POST" else b""
        params = _params(request, raw)
        if fault is not None and (failure := _fail_early(fault, request, self._account.config.base_url)) is not None:
            return failure
        keys = self._account.keys
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        if key is not None and (stored := keys.begin(key, request.path, raw)) is not None:
            headers = {"Idempotency-Key": key, "Idempotent-Replayed": "true", "Original-Request": stored.request_id}
            return web.Response(
                status=stored.status or 200, body=stored.body, content_type="application/json", headers=headers
            )
        status = 200
        try:
            if fault is not None and fault.kind is FaultKind.SLOW:
                await self._account.pause(2.0 if fault.seconds is None else fault.seconds)
            if fault is not None and fault.kind is FaultKind.STORED:
                status, body = 500, broken().body
            else:
                body = orjson.dumps(handler(request, params))
            if fault is not None and fault.kind is FaultKind.AFTER:
                status, body = 500, broken().body
        except BaseException:
            if key is not None:
                keys.forget(key)
            raise
        response = web.Response(status=status, body=body, content_type="application/json")
        if key is not None:
            keys.finish(key, status, body, request_id)
            response.headers["Idempotency-Key"] = key
            response.headers["Original-Request"] = request_id
        if fault is not None and fault.kind is FaultKind.TIMEOUT_AFTER:
            await self._account.pause(30.0 if fault.seconds is None else fault.seconds)
        if fault is not None and fault.kind is FaultKind.DROP:
            return await _send_half(request, body)
        return response


def _params(request: web.Request, raw: bytes) -> Params:
    if request.method != "POST":
        return form.parse(request.query_string)
    if raw and request.content_type != _FORM:
        raise bad(None, f"Invalid request: send the body as {_FORM}, not as {request.content_type}.")
    if request.query_string:
        raise unknown_parameter(next(iter(request.query)))
    try:
        return form.parse(raw.decode())
    except UnicodeDecodeError as error:
        raise bad(None, "Invalid request: the body is not UTF-8.") from error


def _fail_early(fault: Fault, request: web.Request, base_url: str) -> web.StreamResponse | None:
    """Return or raise the failure of a fault that happens before anything is done; None for other faults."""
    refusal = fault.refusal()
    if refusal is not None:
        raise refusal
    if fault.kind is FaultKind.REDIRECT:
        return web.Response(status=302, headers={"Location": f"{base_url}/sandbox/elsewhere"})
    if fault.kind is FaultKind.HTML:
        return web.Response(status=502, text="<html><h1>502 Bad Gateway</h1></html>", content_type="text/html")
    if fault.kind is FaultKind.RESET:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
    return None


async def _send_half(request: web.Request, body: bytes) -> web.StreamResponse:
    """Send half of the body and close the connection."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
