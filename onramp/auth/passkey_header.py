"""The header `X-Passkey`: a signed challenge, sent with the command that it approves in place of a one-time code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from kit import json
from kit.http.problems import Problem
from kit.signed_plans.webauthn import MAX_CREDENTIAL, decode

HEADER: Final = "X-Passkey"


@dataclass(frozen=True, slots=True)
class Assertion:
    """The contents of the header: the id of the challenge and the browser's answer, neither checked yet."""

    challenge: str
    credential: Mapping[str, Any]


ASSERTION = web.RequestKey("passkey_assertion", Assertion)
"""The request's `X-Passkey`. The command has to verify it in its transaction: a request that has one was not asked for a code."""


def parse(text: str) -> Assertion:
    """Return the contents of a header: base64url of `{"challenge": "pkc_...", "credential": {...}}`. Raises Problem 401."""
    try:
        document = json.loads(decode(text[:MAX_CREDENTIAL]))
    except ValueError:
        document = None
    if isinstance(document, dict) and document.keys() == {"challenge", "credential"}:
        challenge, credential = document["challenge"], document["credential"]
        if isinstance(challenge, str) and isinstance(credential, dict):
            return Assertion(challenge[:64], credential)
    raise refused("The header X-Passkey has to be base64url of an object with `challenge` and `credential`.")


def refused(why: str) -> Problem:
    """Return the 401 for a signature that does not count; `why` is a sentence. Nothing was changed."""
    detail = f"{why} Nothing was changed. Ask for a new challenge."
    return Problem(401, "passkey_invalid", detail, headers={"WWW-Authenticate": "Bearer"})
