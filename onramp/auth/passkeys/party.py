"""The service as authenticators know it: its domain and its origin, from the settings."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from kit.signed_plans.webauthn import RelyingParty
from onramp.auth.passkeys import refusals

NAME: Final = "Onramp"
_LOCALHOST: Final = "localhost"
_LOOPBACK: Final = frozenset({"", _LOCALHOST, "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Address:
    """Where people reach the service: ONRAMP_API_URL, which may be empty, and the port that it listens on."""

    url: str
    port: int
    is_production: bool


def party_of(address: Address, request: web.Request) -> RelyingParty:
    """Return domain and origin of the service: those of ONRAMP_API_URL. Raises Problem 409 if production does not name it.

    In development without an address of its own, every port of `http://localhost` counts, as WebAuthn allows no address such as 127.0.0.1.
    """
    parts = urlsplit(address.url)
    host = parts.hostname or ""
    if host in _LOOPBACK and not address.is_production:
        asked = request.headers.get("Origin", "")
        here = urlsplit(asked)
        is_local = here.scheme == "http" and here.hostname == _LOCALHOST
        return RelyingParty(_LOCALHOST, (asked if is_local else f"http://{_LOCALHOST}:{address.port}",))
    if not host:
        raise refusals.unavailable()
    port = "" if parts.port in {None, {"http": 80, "https": 443}.get(parts.scheme)} else f":{parts.port}"
    return RelyingParty(host, (f"{parts.scheme}://{host}{port}",))
