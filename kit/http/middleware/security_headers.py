"""Security headers of every response; a handler's own value wins."""

from collections.abc import Mapping, MutableMapping

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def security_headers(*, https: bool) -> Mapping[str, str]:
    """Return the security headers of every response; with `https` also HSTS, which promises browsers that the service stays on TLS for a year."""
    return _HEADERS | ({"Strict-Transport-Security": "max-age=31536000; includeSubDomains"} if https else {})


def deny_framing(headers: MutableMapping[str, str]) -> None:
    """Add `X-Frame-Options: DENY` unless the content security policy lets pages embed the response.

    Browsers follow the policy; the header is for those that do not know `frame-ancestors`, and it cannot name several origins.
    """
    if "frame-ancestors 'none'" in headers["Content-Security-Policy"]:
        headers["X-Frame-Options"] = "DENY"
