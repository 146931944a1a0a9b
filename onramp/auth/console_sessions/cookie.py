"""The cookie of a console session, and which requests it counts on."""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from kit.http.bearer import MAX_TOKEN
from kit.http.problems import Problem, not_found
from kit.http.routing import Access
from onramp.auth.console_sessions.model import LIFETIME
from onramp.config.fields import networks
from onramp.config.settings import Settings
from onramp.console.transport import is_console_port, is_secure

COOKIE: Final = "__Host-onramp"
"""The prefix `__Host-` makes browsers refuse the cookie unless it is Secure, for this host only and for every path (RFC 6265bis, 4.1.3.2)."""
CONSOLE_HEADER: Final = "X-Onramp-Console"
"""The header, with the value 1, that the console sends with every write. A page of another origin cannot send it without a preflight."""
CONSOLE_ACCESS: Final[tuple[Access, ...]] = ("viewer", "operator", "approver", "admin")
"""The access of routes on which the cookie counts."""
_BUYERS: Final = "/api/v1/onramp"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def cookie_of(request: web.Request, access: Access) -> str | None:
    """Return the secret in the session cookie; None without a cookie, or if it does not count on this request.

    It counts on routes for operators only, never on those for buyers, and never beside an Authorization header.
    """
    if access not in CONSOLE_ACCESS or request.path.startswith(_BUYERS) or "Authorization" in request.headers:
        return None
    secret = request.cookies.get(COOKIE, "")
    return secret if secret.isascii() and 0 < len(secret) <= MAX_TOKEN else None


def set_cookie(response: web.StreamResponse, secret: str) -> None:
    """Give the browser the cookie of a new session."""
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(LIFETIME.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="Strict",
    )


def clear_cookie(response: web.StreamResponse) -> None:
    """Make the browser forget the cookie."""
    response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")


def require_same_origin(request: web.Request, public_origin: str) -> None:
    """Raise Problem 403 `cross_site` unless a request with the session cookie comes from a page of this service.

    A write needs CONSOLE_HEADER, and `Origin` or `Sec-Fetch-Site` that name this service; a read must not say that it comes from another
    site. `public_origin` is the origin under which operators reach the service; if it is empty, the request's own host counts.
    """
    is_read = request.method in _SAFE_METHODS
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin" and not (is_read and site == "none"):
        raise _cross_site()
    if is_read:
        return
    if request.headers.get(CONSOLE_HEADER) != "1":
        raise _cross_site()
    origin = request.headers.get("Origin")
    if origin is None and site is None:
        raise _cross_site()
    require_own_origin(request, public_origin)


def require_transport(request: web.Request, settings: Settings) -> None:
    """Raise Problem 404 if the console is not served here, 403 `https_required` for a request that somebody on the way could have read."""
    if not settings.console_is_served or not is_console_port(request, settings):
        raise not_found("console")
    if not is_secure(request, networks(settings.TRUSTED_PROXIES)):
        raise _over_http()


def require_own_origin(request: web.Request, public_origin: str) -> None:
    """Raise Problem 403 if the page that sends this request has another origin (`cross_site`), or was opened over http (`https_required`).

    A request without `Origin`, which programs send, passes. http is allowed for a host of this machine only, for development.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return
    try:
        parts = urlsplit(origin)
        hostname = parts.hostname
    except ValueError:
        raise _cross_site() from None
    is_own = parts.netloc.lower() == request.host.lower() or (public_origin and origin == public_origin)
    if not is_own or parts.scheme not in {"http", "https"} or request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise _cross_site()
    if parts.scheme == "http" and hostname not in _LOOPBACK:
        raise _over_http()


def _over_http() -> Problem:
    return Problem(
        403,
        "https_required",
        "The console was opened over http, which anybody on the way can read. Nothing was done; open it over https. Behind a proxy that ends "
        "TLS, that proxy must be in TRUSTED_PROXIES and send X-Forwarded-Proto.",
    )


def _cross_site() -> Problem:
    return Problem(
        403,
        "cross_site",
        "This request did not come from a page of this console, so its cookie does not count. Nothing was done; use the console itself, "
        "or send an API key as a bearer token.",
    )


def session_ended() -> Problem:
    """Return the 401 for a cookie whose session is unknown or has ended; it also makes the browser forget the cookie."""
    forgotten = web.Response()
    clear_cookie(forgotten)
    return Problem(
        401,
        "session_ended",
        "Your console session has ended, or is not known. Nothing was done; log in again.",
        headers={"Set-Cookie": forgotten.cookies[COOKIE].OutputString(), "WWW-Authenticate": "Bearer"},
    )
