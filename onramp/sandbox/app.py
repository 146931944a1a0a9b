"""The sandbox as an application: Stripe's API, the controls of a test, and the hosted page."""

import asyncio
import base64
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

import orjson
from aiohttp import web

from onramp.sandbox import form, objects
from onramp.sandbox.config import FAULTS, Chaos, Fault, SandboxConfig
from onramp.sandbox.errors import StripeError, bad
from onramp.sandbox.events import Sender
from onramp.sandbox.hosted import HostedPage
from onramp.sandbox.store import Store

__all__ = ["Sandbox", "SandboxConfig", "make_sandbox"]
SESSIONS: Final = "/v1/crypto/onramp_sessions"


class Sandbox:
    """One account and everything that happens to it."""

    def __init__(self, config: SandboxConfig) -> None:
        """Empty at first."""
        self.config = config
        self.store = Store()
        self.sender = Sender(config, self.store)
        self.faults: list[Fault] = []

    async def create(self, request: web.Request) -> web.StreamResponse:
        """POST a session."""
        if request.content_type != "application/x-www-form-urlencoded":
            raise bad("parameter_unknown", "Send parameters form-encoded.")
        params = _params(await request.text())
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return _json(self._make(params))
        stored = self.store.begin(key, request.path, params)
        if stored is not None:
            return web.Response(
                status=stored.status or 200,
                body=stored.body,
                content_type="application/json",
                headers={"Idempotent-Replayed": "true", "Original-Request": "req_stored"},
            )
        try:
            body = orjson.dumps(self._make(params))
        except StripeError:
            self.store.forget(key)
            raise
        self.store.finish(key, 200, body)
        return web.Response(body=body, content_type="application/json")

    def _make(self, params: dict[str, Any]) -> dict[str, Any]:
        if self.config.flat_fields:
            objects.validate(params)
        session = objects.make(params, self.config)
        self.store.add(session)
        return session

    async def read(self, request: web.Request) -> web.StreamResponse:
        """GET one session."""
        return _json(self.store.get(request.match_info["id"]))

    async def page(self, request: web.Request) -> web.StreamResponse:
        """GET a list of sessions."""
        rows, has_more = self.store.page(_params(request.query_string))
        return _json({"object": "list", "url": SESSIONS, "has_more": has_more, "data": rows})

    async def events(self, request: web.Request) -> web.StreamResponse:
        """GET the events, newest first."""
        limit = int(request.query.get("limit", "10"))
        rows = list(reversed(self.store.events))
        return _json({"object": "list", "url": "/v1/events", "has_more": len(rows) > limit, "data": rows[:limit]})

    async def quotes(self, request: web.Request) -> web.StreamResponse:
        """GET estimates."""
        params = _params(request.query_string)
        known = {
            "source_amount",
            "source_currency",
            "destination_amount",
            "destination_currencies",
            "destination_networks",
            "expand",
        }
        for name in params:
            if name not in known:
                raise bad("parameter_unknown", f"Received unknown parameter: {name}", name)
        source = objects.amount(
            params.get("source_amount", "100.00"), "crypto_onramp_invalid_source_amount", "source_amount"
        )
        currency = params.get("source_currency", "usd")
        quotes: dict[str, list[dict[str, Any]]] = {key: [] for key in objects.WALLET_KEYS.values()}
        for item in params.get("destination_currencies") or sorted(objects.PAIRS):
            for network in params.get("destination_networks") or objects.NETWORKS:
                if network in objects.PAIRS.get(item, ()):
                    quotes[objects.WALLET_KEYS[network]].append(objects.quote(source, currency, item, network))
        return _json(
            {
                "id": secrets.token_hex(32),
                "object": "crypto.onramp.quotes",
                "livemode": False,
                "source_currency": currency,
                "source_amount": f"{source:.2f}",
                "destination_network_quotes": quotes,
            }
        )

    async def advance(self, request: web.Request) -> web.StreamResponse:
        """Walk a session forward the legal way, an event for each change."""
        body = await _control(
            request,
            {
                "status",
                "destination_amount",
                "events",
                "wallet_address",
                "destination_currency",
                "destination_network",
                "livemode",
                "source_amount",
                "transaction_id",
            },
        )
        session = self.store.get(request.match_info["id"])
        how = body.get("events", "once")
        if how not in {"once", "twice", "none", "late"}:
            raise bad("sandbox_bad_request", "events takes once, twice, none or late.", "events")
        self.walk(session, str(body.get("status", "fulfillment_complete")), body, how)
        return _json(self._shown(session))

    def walk(self, session: dict[str, Any], target: str, changes: dict[str, Any], how: str = "once") -> None:
        """Every step up to `target`, the illegal refused before the first."""
        if target in objects.ORDER and session["status"] in objects.ORDER:
            start, end = objects.ORDER.index(session["status"]), objects.ORDER.index(target)
            path: tuple[str, ...] = objects.ORDER[start + 1 : end + 1]
        else:
            path = (target,)
        if not path:
            raise StripeError(
                400, "sandbox_illegal_move", f"A session does not go from {session['status']} to {target}."
            )
        for status in path:
            objects.step(session, status, changes)
            self.sender.changed(session, how)

    async def show(self, request: web.Request) -> web.StreamResponse:
        """A session with the deliveries attempted."""
        return _json(self._shown(self.store.get(request.match_info["id"])))

    def _shown(self, session: dict[str, Any]) -> dict[str, Any]:
        return {"session": session, "deliveries": self.sender.deliveries[session["id"]]}

    async def set_faults(self, request: web.Request) -> web.StreamResponse:
        """Tell what shall go wrong next; an empty object takes all faults back."""
        body = await _control(request, {"path", "kind", "count", "retry_after"})
        if not body:
            self.faults.clear()
            return _json({"faults": []})
        if body.get("kind") not in FAULTS:
            raise bad("sandbox_bad_request", f"kind takes {', '.join(FAULTS)}.", "kind")
        self.faults.append(
            Fault(str(body.get("path", "/v1/")), str(body["kind"]), int(body.get("count", 1)), body.get("retry_after"))
        )
        return _json({"faults": [asdict(fault) for fault in self.faults]})

    async def set_chaos(self, request: web.Request) -> web.StreamResponse:
        """Tell how deliveries shall misbehave."""
        body = await _control(request, set(Chaos.__dataclass_fields__))
        self.sender.chaos = Chaos(**body)
        return _json(asdict(self.sender.chaos))

    def middleware(self) -> Callable[..., Awaitable[web.StreamResponse]]:
        """Authentication, faults, and Stripe's error bodies."""

        @web.middleware
        async def serve(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            try:
                if request.path.startswith("/v1/"):
                    self._authenticate(request)
                    response = await self._with_fault(request, handler)
                else:
                    response = await handler(request)
            except StripeError as error:
                response = error.response()
            response.headers["Request-Id"] = "req_" + secrets.token_hex(7)
            return response

        return serve

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            with contextlib.suppress(ValueError):
                value = base64.b64decode(value).decode().partition(":")[0]
        if value != self.config.secret_key:
            raise StripeError(
                401, None, "Invalid API Key provided.", headers={"WWW-Authenticate": 'Basic realm="Stripe"'}
            )

    async def _with_fault(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        fault = next((item for item in self.faults if item.count > 0 and request.path.startswith(item.path)), None)
        if fault is None:
            return await handler(request)
        fault.count -= 1
        broken = StripeError(500, None, "An unknown error occurred.", kind="api_error")
        match fault.kind:
            case "429":
                after = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
                raise StripeError(429, "rate_limit", "Too many requests.", headers=after)
            case "500_before":
                raise broken
            case "500_after":
                await handler(request)
                key = request.headers.get("Idempotency-Key")
                if key is not None:
                    self.store.finish(key, 500, orjson.dumps(broken.body))
                raise broken
            case "disabled":
                raise StripeError(400, "crypto_onramp_disabled", "Session minting is stopped.", kind="api_error")
            case "302":
                return web.Response(status=302, headers={"Location": "/elsewhere"})
            case "html":
                return web.Response(status=502, text="<html>Bad gateway</html>", content_type="text/html")
            case "slow":
                await asyncio.sleep(2.0)
                return await handler(request)
            case "timeout_after":
                await handler(request)
                await asyncio.sleep(30.0)
                raise broken
            case _:
                answer = await handler(request)
                dropped = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "4096"})
                await dropped.prepare(request)
                await dropped.write(b"{")
                if request.transport is not None:
                    request.transport.abort()
                del answer
                return dropped


def _params(raw: str) -> dict[str, Any]:
    try:
        return form.parse(raw)
    except form.BadFormError as error:
        raise bad("parameter_unknown", f"Received unknown parameter: {error}", str(error)) from error


async def _control(request: web.Request, known: set[str]) -> dict[str, Any]:
    raw = await request.read()
    try:
        body = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError as error:
        raise bad("sandbox_bad_request", "Send a JSON object.") from error
    if not isinstance(body, dict) or set(body) - known:
        raise bad("sandbox_bad_request", f"Send a JSON object with any of {', '.join(sorted(known))}.")
    return body


def _json(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value, default=str), content_type="application/json")


def make_sandbox(config: SandboxConfig) -> web.Application:
    """The application; `app[SANDBOX]` is the account behind it."""
    sandbox = Sandbox(config)
    app = web.Application(middlewares=[sandbox.middleware()], client_max_size=1024 * 1024)
    app[SANDBOX] = sandbox
    app.add_routes(
        [
            web.post(SESSIONS, sandbox.create),
            web.get(SESSIONS, sandbox.page),
            web.get(SESSIONS + "/{id}", sandbox.read),
            web.get("/v1/crypto/onramp_quotes", sandbox.quotes),
            web.get("/v1/crypto/onramp/quotes", sandbox.quotes),
            web.get("/v1/events", sandbox.events),
            web.post("/sandbox/onramp_sessions/{id}/advance", sandbox.advance),
            web.get("/sandbox/onramp_sessions/{id}", sandbox.show),
            web.post("/sandbox/faults", sandbox.set_faults),
            web.post("/sandbox/chaos", sandbox.set_chaos),
            *HostedPage(sandbox).routes(),
        ]
    )

    async def close(_app: web.Application) -> AsyncIterator[None]:
        yield
        await sandbox.sender.close()

    app.cleanup_ctx.append(close)
    return app


SANDBOX: web.AppKey[Sandbox] = web.AppKey("sandbox")
