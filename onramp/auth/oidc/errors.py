"""Errors of a login through the provider."""

from kit.http.problems import Problem


class ProviderError(Exception):
    """The provider did not answer, or not as OpenID Connect requires. The message is for the log; it holds no secret and no token."""


class TokenError(Exception):
    """An ID token that is not valid for this login. The message is for the log; it holds no part of the token."""


def unavailable(name: str) -> Problem:
    """Return the 503 for a provider that does not answer as it should."""
    return Problem(
        503,
        "oidc_unavailable",
        f"{name} does not answer as it should just now, so nobody can log in through it. Nothing was done, and sessions that have begun go on. "
        "Try again in a moment, or log in with an API key.",
        headers={"Retry-After": "5"},
    )


def not_valid() -> Problem:
    """Return the 401 for a login that cannot be completed: its state, its code or its token is not valid."""
    return Problem(
        401,
        "oidc_invalid",
        "This login cannot be completed: it was used already, took longer than ten minutes, was begun in another browser, or its answer is "
        "not valid. Nobody was logged in. Begin again.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def refused(detail: str) -> Problem:
    """Return the 403 for a person who may not log in; `detail` says why, and what to do."""
    return Problem(403, "oidc_refused", detail)
