"""Bearer tokens in the Authorization header (RFC 6750)."""

from aiohttp import web

from kit.http.problems import Problem

MAX_TOKEN = 4096
"""The most characters of a bearer token; a longer one is treated as missing."""


def bearer_token(request: web.Request) -> str | None:
    """Return the request's bearer token; None for a request without one (RFC 6750, 2.1: the scheme in any case, the token in ASCII)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token.isascii() and 0 < len(token) <= MAX_TOKEN else None


def unauthorized() -> Problem:
    """Return the 401 problem for a credential; a missing, an invalid and an expired one get the same text."""
    return Problem(
        401, "unauthorized", "Send a valid credential as a bearer token.", headers={"WWW-Authenticate": "Bearer"}
    )
