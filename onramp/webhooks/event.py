"""Read the few fields of a Stripe event that are stored; its content is never trusted beyond "fetch this session again"."""

import re
from typing import Any, Final, NamedTuple

import orjson

from kit.json import MalformedJson, count_containers

_SESSION: Final = "crypto.onramp_session"
_THIN: Final = "v2.core.event"
"""The type of an event without its object, for endpoints that subscribe to those (https://docs.stripe.com/event-destinations).

No onramp session comes in one.
"""
_ID = re.compile(r"[A-Za-z0-9_]{1,255}", re.ASCII)


class MalformedEvent(Exception):
    """The body is signed, but it is not an event; the text says why."""


class StripeEvent(NamedTuple):
    """The fields of an event; `created` in Unix seconds."""

    id: str
    type: str
    created: int | None
    session_id: str | None
    session_status: str | None


def parse_event(raw: bytes) -> StripeEvent:
    """Return ids, type, time and status; raise MalformedEvent if this is not an event. The nesting depth, and the number of lists and objects, are limited.

    Fields that a hint can do without (`object`, `created`, the session's `status`) may be missing, but not have another type.
    """
    try:
        count_containers(raw)
        event = orjson.loads(raw)
    except MalformedJson as error:
        raise MalformedEvent(str(error)) from error
    except orjson.JSONDecodeError as error:
        raise MalformedEvent("it is not JSON") from error
    if isinstance(event, dict) and event.get("object") == _THIN:
        return StripeEvent(_identifier(event.get("id"), "id"), _text(event.get("type"), "type"), None, None, None)
    if not isinstance(event, dict) or event.get("object", "event") != "event":
        raise MalformedEvent("it is not an event object")
    created = event.get("created")
    if created is not None and (isinstance(created, bool) or not isinstance(created, int) or not 0 <= created < 10**11):
        raise MalformedEvent("its `created` is not a time")
    data = event.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if not isinstance(subject, dict):
        raise MalformedEvent("it carries no object")
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
        raise MalformedEvent(f"its `{name}` is not an id")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value or len(value) > 255 or not value.isprintable():
        raise MalformedEvent(f"its `{name}` is not a text")
    return value
