"""Bearer tokens in the Authorization header (RFC 6750)."""

from aiohttp import web

from kit.http.problems import Problem

MAX_TOKEN = 4096
"""Characters of a bearer token; longer ones are treated as missing."""


def bearer_token(request: web.Request) -> str | None:
    """Return the request's bearer token, or None (RFC 6750, 2.1: the scheme in any case, the token in ASCII)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token.isascii() and 0 < len(token) <= MAX_TOKEN else None


def unauthorized() -> Problem:
    """Return the 401 for a missing, an invalid and an expired credential; the text does not tell them apart."""
    return Problem(
        401, "unauthorized", "Send a valid credential as a bearer token.", headers={"WWW-Authenticate": "Bearer"}
    )
