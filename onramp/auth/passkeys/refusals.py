"""The problems that refuse a passkey, with codes that programs can tell apart."""

from typing import Final

from kit.http.problems import Problem
from onramp.auth.passkey_header import refused as invalid

__all__ = ["SIGNATURE_CODES", "cloned", "expired", "invalid", "plan_changed", "unavailable"]

SIGNATURE_CODES: Final = ("passkey_invalid", "passkey_expired", "passkey_cloned")
"""The codes with which a command refuses the passkey that was sent with it (401)."""
_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}


def expired() -> Problem:
    """Return the 401 for a challenge that came too late, or was used before."""
    return Problem(
        401,
        "passkey_expired",
        "This challenge has expired or was used before. Nothing was changed. Ask for a new one and sign again.",
        headers=_CHALLENGE,
    )


def plan_changed() -> Problem:
    """Return the 409 for a plan that is no longer what was signed."""
    return Problem(
        409,
        "plan_changed",
        "What would be done now is not what was signed: the row, the policy or the request changed. Nothing was done. Read the new plan.",
    )


def cloned() -> Problem:
    """Return the 401 for a passkey whose counter did not grow."""
    return Problem(
        401,
        "passkey_cloned",
        "The counter of this passkey went back: another device may hold the same key. Nothing was changed. Have an admin remove it.",
        headers=_CHALLENGE,
    )


def unavailable() -> Problem:
    """Return the 409 of a service that does not know its own address."""
    return Problem(
        409, "passkeys_unavailable", "Passkeys are bound to the address of the service: set ONRAMP_API_URL and restart."
    )
