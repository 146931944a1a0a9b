"""Where the console may be shown: over TLS or from this machine, on its own port if it has one, and never inside another page."""

import ipaddress
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from kit.http.forwarded import Network, client_ip, is_within
from kit.http.problems import Problem, not_found
from onramp.config.fields import networks
from onramp.config.settings import Settings

_EMBEDDED: Final = frozenset({"iframe", "frame", "embed", "object", "fencedframe"})
"""The values of Sec-Fetch-Dest of a document inside another page (https://www.w3.org/TR/fetch-metadata/)."""
_NAMES_OF_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def require_safe(request: web.Request, settings: Settings) -> None:
    """Raise Problem 404 on another port than the console's, 403 for a request over plain http from elsewhere or from a frame."""
    if not is_console_port(request, settings):
        raise not_found("page")
    if request.headers.get("Sec-Fetch-Dest", "") in _EMBEDDED:
        raise Problem(
            403, "console_embedded", "The console is not shown inside another page. Open it in a window of its own."
        )
    if not is_secure(request, networks(settings.TRUSTED_PROXIES)):
        raise Problem(
            403,
            "console_insecure",
            "The console is served over https only, or over http from the machine itself. Nothing was sent. Open it by https; behind a proxy that ends TLS,"
            " that proxy must be in TRUSTED_PROXIES and send X-Forwarded-Proto.",
        )


def is_console_port(request: web.Request, settings: Settings) -> bool:
    """Return whether the request came to the port that serves the console: CONSOLE_PORT if it is set, else every port of the API."""
    if not settings.CONSOLE_PORT:
        return True
    address = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return address is not None and address[1] == settings.CONSOLE_PORT


def is_secure(request: web.Request, trusted: Sequence[Network]) -> bool:
    """Return whether nobody on the way could have read or changed the request: TLS, as a trusted proxy says, or this machine."""
    if request.secure:
        return True
    peer = client_ip(request.remote, (), ())
    if peer is None:
        return False
    if is_within(peer, trusted):
        return request.headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower() == "https"
    return peer.is_loopback and _names_this_machine(request.host)


def _names_this_machine(host: str) -> bool:
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.lower() in _NAMES_OF_THIS_MACHINE or name.lower().endswith(".localhost")
