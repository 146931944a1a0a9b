"""Security headers of every response; a handler's own value wins."""

from collections.abc import Mapping

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def security_headers(*, https: bool) -> Mapping[str, str]:
    """Return the headers. `https`: promise browsers that the service stays on TLS for a year (HSTS)."""
    return _HEADERS | ({"Strict-Transport-Security": "max-age=31536000; includeSubDomains"} if https else {})
