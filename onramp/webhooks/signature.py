"""Is this body Stripe's? HMAC-SHA256 over `t.body`, as in docs.stripe.com/webhooks#verify-manually.

Stripe's own helper accepts any future time and raises five different exceptions on odd bytes (measured with stripe 16.1.0), so the
check is done here: nine microseconds, and one exception for whatever is wrong.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from kit.json import MalformedJson, count_containers

TOLERANCE_SECONDS: Final = 300
_USUAL = re.compile(r"t=([1-9][0-9]{0,11}),v1=([0-9a-f]{64})(?:,v0=[0-9a-f]{64})?", re.ASCII)
_PAIR = re.compile(r"\s*([a-z0-9]{1,8})=([0-9a-zA-Z]{1,128})\s*", re.ASCII)
_SIGNATURES: Final = 16
_SESSION: Final = "crypto.onramp_session"
_THIN: Final = "v2.core.event"
"""An event without its object, for endpoints that subscribe to those; no onramp session comes in one
(https://docs.stripe.com/event-destinations)."""
_ID = re.compile(r"[A-Za-z0-9_]{1,255}", re.ASCII)


class SignatureInvalid(Exception):
    """The body cannot be shown to come from Stripe, now; the text says why."""


class MalformedEvent(Exception):
    """Signed, but not an event."""


class StripeEvent(NamedTuple):
    """What is read of an event; none of it is believed beyond "look at this session again"."""

    id: str
    type: str
    created: int | None
    session_id: str | None
    session_status: str | None


def verify(raw: bytes, header: str | None, secrets: Sequence[str], now: int) -> None:
    """Raise SignatureInvalid unless one of `secrets` signed these bytes within TOLERANCE_SECONDS of `now`, either way."""
    if not header:
        message = "the Stripe-Signature header is missing"
        raise SignatureInvalid(message)
    moment, signatures = _parse(header)
    usable = [secret for secret in secrets if secret]
    signed = str(moment).encode() + b"." + raw
    valid = False
    # Every pair is compared, so that the time taken tells nothing about which one fits.
    for secret in usable:
        expected = hmac.digest(secret.encode(), signed, hashlib.sha256).hex().encode()
        for signature in signatures:
            valid |= hmac.compare_digest(expected, signature)
    if not valid:
        message = "no signature of ours is on it"
        raise SignatureInvalid(message)
    if moment < now - TOLERANCE_SECONDS:
        message = "it was signed too long ago"
        raise SignatureInvalid(message)
    if moment > now + TOLERANCE_SECONDS:
        message = "it was signed in the future; is a clock wrong?"
        raise SignatureInvalid(message)


def _parse(header: str) -> tuple[int, list[bytes]]:
    usual = _USUAL.fullmatch(header)
    if usual is not None:
        return int(usual[1]), [usual[2].encode()]
    message = "the Stripe-Signature header cannot be read"
    moments: list[str] = []
    signatures: list[bytes] = []
    for item in header.split(","):
        pair = _PAIR.fullmatch(item)
        if pair is None:
            raise SignatureInvalid(message)
        name, value = pair.groups()
        if name == "t":
            moments.append(value)
        elif name == "v1":
            signatures.append(value.lower().encode())
    if len(moments) != 1 or not moments[0].isdigit() or len(moments[0]) > 12:
        raise SignatureInvalid(message)
    if str(int(moments[0])) != moments[0] or not signatures or len(signatures) > _SIGNATURES:
        raise SignatureInvalid(message)
    return int(moments[0]), signatures


def parse_event(raw: bytes) -> StripeEvent:
    """Read ids, type, time and status; MalformedEvent for whatever is no event. The depth is bounded by the parser.

    What a hint can do without (`object`, `created`, the session's `status`) may be missing, but not be something else.
    """
    try:
        count_containers(raw)
        event = orjson.loads(raw)
    except MalformedJson as error:
        raise MalformedEvent(str(error)) from error
    except orjson.JSONDecodeError as error:
        message = "it is not JSON"
        raise MalformedEvent(message) from error
    if isinstance(event, dict) and event.get("object") == _THIN:
        return StripeEvent(_identifier(event.get("id"), "id"), _text(event.get("type"), "type"), None, None, None)
    if not isinstance(event, dict) or event.get("object", "event") != "event":
        message = "it is no event object"
        raise MalformedEvent(message)
    created = event.get("created")
    if created is not None and (isinstance(created, bool) or not isinstance(created, int) or not 0 <= created < 10**11):
        message = "its `created` is no time"
        raise MalformedEvent(message)
    data = event.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if not isinstance(subject, dict):
        message = "it carries no object"
        raise MalformedEvent(message)
    is_session = subject.get("object", _SESSION if "id" in subject else None) == _SESSION
    status = subject.get("status") if is_session else None
    return StripeEvent(
        id=_identifier(event.get("id"), "id"),
        type=_text(event.get("type"), "type"),
        created=created,
        session_id=_identifier(subject.get("id"), "data.object.id") if is_session else None,
        session_status=None if status is None else _text(status, "data.object.status"),
    )


def _identifier(value: Any, name: str) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        message = f"its `{name}` is no id"
        raise MalformedEvent(message)
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value or len(value) > 255 or not value.isprintable():
        message = f"its `{name}` is no text"
        raise MalformedEvent(message)
    return value
