"""One middleware: request id, context for the logs, problems, CORS, security headers, time limit, metrics."""

import re
from collections.abc import Collection
from time import perf_counter

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler as AiohttpHandler
from prometheus_client import CollectorRegistry, Counter, Histogram

from kit.clock import SystemClock
from kit.db.database import is_away, reason_of
from kit.entry_limiter import EntryLimiter
from kit.http.problems import Problem
from kit.http.routing import LIMIT_HEADERS, ROUTE, route_of
from kit.ids import Ids
from kit.logs import bind, get_logger, unbind

log = get_logger(__name__)
REQUEST_ID = web.RequestKey("request_id", str)
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{8,128}", re.ASCII)
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_METHODS = "GET, POST, DELETE, OPTIONS"
_HEADERS = ", ".join(
    (
        *("Accept", "Authorization", "Cache-Control", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Pragma"),
        *("X-OTP", "X-Request-Id", "X-Requested-With"),
        # What tracing libraries add to each request of a page: W3C Trace Context, Sentry, Datadog, B3.
        *("baggage", "sentry-trace", "traceparent", "tracestate", "b3"),
        *("x-b3-flags", "x-b3-parentspanid", "x-b3-sampled", "x-b3-spanid", "x-b3-traceid"),
        *("x-datadog-origin", "x-datadog-parent-id", "x-datadog-sampling-priority", "x-datadog-trace-id"),
    )
)


class HttpMetrics:
    """Requests by route, never by path: a path may hold an id, and its values would grow with use."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare the families."""
        labels = ("method", "route", "status")
        self.count = Counter("onramp_http_requests_total", "Requests answered.", labels, registry=registry)
        self.seconds = Histogram(
            "onramp_http_request_duration_seconds",
            "Time to answer.",
            labels,
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer. The labelled children are kept: looking one up by its labels costs more than counting."""
        key = (method, route, status)
        found = self._children.get(key)
        if found is None:
            found = (self.count.labels(method, route, str(status)), self.seconds.labels(method, route, str(status)))
            self._children[key] = found
        found[0].inc()
        found[1].observe(seconds)


def problem_response(problem: Problem, request_id: str) -> web.Response:
    """The problem as `application/problem+json`."""
    return web.Response(
        body=orjson.dumps(problem.body(request_id)),
        status=problem.status,
        content_type="application/problem+json",
        headers=dict(problem.headers),
    )


def _from_http_error(error: web.HTTPException) -> Problem:
    match error.status:
        case 404:
            return Problem(404, "not_found", "There is nothing at this address.")
        case 405:
            allowed = error.headers.get("Allow", "")
            return Problem(405, "method_not_allowed", f"Use one of: {allowed}.", headers={"Allow": allowed})
        case 413:
            return Problem(413, "body_too_large", "The body is too large.")
        case status:
            return Problem(status, "http_error", error.reason or "The request could not be served.")


class Furniture:
    """The outermost middleware of the service."""

    def __init__(self, *, origins: Collection[str], ids: Ids, metrics: HttpMetrics, https: bool) -> None:
        """`origins`: exact origins whose pages may call us; `https`: promise browsers that we stay on TLS."""
        self._origins = frozenset(origins)
        self._ids = ids
        self._metrics = metrics
        tls = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"} if https else {}
        self._headers = tuple((_SECURITY | tls).items())
        self._said = EntryLimiter(SystemClock())

    async def serve(self, request: web.Request, handler: AiohttpHandler) -> web.StreamResponse:
        """Answer one request; whatever goes wrong inside becomes a problem document."""
        started = perf_counter()
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _SANE_ID.fullmatch(given) else self._ids.new("req_")
        request[REQUEST_ID] = request_id
        # The task is the connection's: what the request before this one bound, such as its session, must not be in this one's lines.
        unbind()
        bind(request_id=request_id)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response: web.StreamResponse = web.Response(status=204)
        else:
            response = await self._answer(request, handler, request_id)
        route = route_of(request)
        name = route.path if route is not None else "unmatched"
        elapsed = perf_counter() - started
        self._metrics.answered(request.method, name, response.status, elapsed)
        return response

    async def _answer(self, request: web.Request, handler: AiohttpHandler, request_id: str) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            return problem_response(problem, request_id)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return problem_response(_from_http_error(error), request_id)
        except TimeoutError:
            log.warning("http.timeout", method=request.method)
            late = Problem(
                503,
                "timeout",
                "This took too long; it may still be done. Try again with the same key.",
                headers={"Retry-After": "2"},
            )
            return problem_response(late, request_id)
        except Exception as error:
            if is_away(error):
                # Each request meets it while it lasts; a line a minute says so.
                if self._said.admit(type(error).__name__) is not None:
                    log.error("http.database_away", method=request.method, reason=reason_of(error))
                away = Problem(
                    503,
                    "database_unavailable",
                    "The service cannot reach its database right now. Try again in a moment, with the same key where you gave one.",
                    headers={"Retry-After": "2"},
                )
                return problem_response(away, request_id)
            log.exception("http.unexpected", method=request.method, route=getattr(request.get(ROUTE), "path", None))
            broken = Problem(
                500, "internal_error", "Something went wrong on our side. Nothing you sent was lost by trying again."
            )
            return problem_response(broken, request_id)

    async def on_prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Set the headers that every answer carries; a handler's own value wins. Connected to `on_response_prepare`."""
        headers = response.headers
        # What is refused before `serve`, such as an unknown Expect header, has an id already.
        headers["X-Request-Id"] = request.get(REQUEST_ID) or headers.get("X-Request-Id") or self._ids.new("req_")
        for name, value in self._headers:
            headers.setdefault(name, value)
        left = request.get(LIMIT_HEADERS)
        if left is not None:
            headers.update(left)
        origin = request.headers.get("Origin")
        if origin is None:
            return
        headers["Vary"] = "Origin"
        if origin in self._origins or "*" in self._origins:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = (
                "X-Request-Id, Retry-After, Location, RateLimit, RateLimit-Policy"
            )
            if request.method == "OPTIONS":
                headers["Access-Control-Allow-Methods"] = _METHODS
                headers["Access-Control-Allow-Headers"] = _HEADERS
                headers["Access-Control-Max-Age"] = "600"
