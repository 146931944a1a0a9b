"""CORS: which pages may read responses (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from collections.abc import Collection, MutableMapping

from aiohttp import web

_METHODS = "GET, POST, DELETE, OPTIONS"
_REQUEST_HEADERS = ", ".join(
    (
        *("Accept", "Authorization", "Cache-Control", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Pragma"),
        *("X-OTP", "X-Passkey", "X-Request-Id", "X-Requested-With"),
        # Tracing libraries add these to every request of a page: W3C Trace Context, Sentry, Datadog, B3.
        *("baggage", "sentry-trace", "traceparent", "tracestate", "b3"),
        *("x-b3-flags", "x-b3-parentspanid", "x-b3-sampled", "x-b3-spanid", "x-b3-traceid"),
        *("x-datadog-origin", "x-datadog-parent-id", "x-datadog-sampling-priority", "x-datadog-trace-id"),
    )
)
_RESPONSE_HEADERS = "X-Request-Id, Retry-After, Location, RateLimit, RateLimit-Policy"


def is_preflight(request: web.Request) -> bool:
    """Return whether the request is a browser's preflight, which asks whether a page may send the actual request."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


class Cors:
    """The CORS headers for a set of origins."""

    def __init__(self, origins: Collection[str]) -> None:
        """Allow `origins`, the exact origins whose pages may read responses; `*` allows every origin."""
        self._origins = frozenset(origins)

    def apply(self, request: web.Request, headers: MutableMapping[str, str]) -> None:
        """Add the CORS headers to a response, if the request comes from a page."""
        origin = request.headers.get("Origin")
        if origin is None:
            return
        if "Access-Control-Allow-Origin" in headers:
            return  # the handler's own: the same for every page
        headers["Vary"] = ", ".join(filter(None, (headers.get("Vary"), "Origin")))
        if origin not in self._origins and "*" not in self._origins:
            return
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = _RESPONSE_HEADERS
        if request.method == "OPTIONS":
            headers["Access-Control-Allow-Methods"] = _METHODS
            headers["Access-Control-Allow-Headers"] = _REQUEST_HEADERS
            headers["Access-Control-Max-Age"] = "600"
