"""Render messages, and store them with a delivery for each endpoint that gets them, inside the caller's transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.clock import rfc3339
from kit.db.bulk import insert_new
from kit.ids import RandomIds
from onramp.hooks.event_types import EventType
from onramp.hooks.table import DeliveryStatus, deliveries, endpoints, messages

MAX_BODY: Final = 20_000
"""The most bytes of a body. No event comes near: the largest is a session with a return address of 2,048 characters."""
_new_id: Final = RandomIds().new


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is stored and sent."""

    id: str
    type: EventType
    subject: str
    body: str
    at: datetime


def render(event: EventType, subject: str, at: datetime, data: Mapping[str, Any]) -> Message:
    """Return a new message. Raises ValueError if it would be longer than MAX_BODY."""
    body = orjson.dumps({"type": event, "timestamp": rfc3339(at), "data": data})
    if len(body) > MAX_BODY:
        raise ValueError(f"the message {event} about {subject} has {len(body)} bytes")
    return Message(_new_id("msg_"), event, subject, body.decode(), at)


async def store(conn: AsyncConnection, recipients: Sequence[tuple[Message, Collection[str]]]) -> None:
    """Store messages, and for each a delivery to every endpoint that is named; they are due at once."""
    if not recipients:
        return
    await insert_new(
        conn,
        messages,
        [{"id": m.id, "type": m.type, "subject": m.subject, "body": m.body, "created_at": m.at} for m, _ in recipients],
    )
    rows = [delivery_row(endpoint, m.id, m.at, due=m.at) for m, endpoints in recipients for endpoint in endpoints]
    if rows:
        await insert_new(conn, deliveries, rows)


def delivery_row(endpoint_id: str, message_id: str, at: datetime, *, due: datetime) -> dict[str, Any]:
    """Return the row of a new delivery of a message of the time `at`."""
    return {
        "id": _new_id("dlv_"),
        "endpoint_id": endpoint_id,
        "message_id": message_id,
        "status": DeliveryStatus.PENDING,
        "attempts": [],
        "due_at": due,
        "created_at": at,
    }


async def prune(conn: AsyncConnection, *, before: datetime, limit: int) -> int:
    """Delete at most `limit` deliveries, and at most as many messages, of before a time. Return how many of either, whichever is more.

    Deliveries to endpoints that were deleted go, too, whatever their age.
    """
    orphaned = deliveries.c.endpoint_id.not_in(sa.select(endpoints.c.id))
    d = sa.select(deliveries.c.id).where(sa.or_(deliveries.c.created_at < before, orphaned)).limit(limit)
    m = sa.select(messages.c.id).where(messages.c.created_at < before).limit(limit)
    deleted = await conn.execute(sa.delete(deliveries).where(deliveries.c.id.in_(_unlocked(conn, d))))
    forgotten = await conn.execute(sa.delete(messages).where(messages.c.id.in_(_unlocked(conn, m))))
    return max(deleted.rowcount, forgotten.rowcount)


def _unlocked(conn: AsyncConnection, query: "sa.Select[Any]") -> "sa.Select[Any]":
    return query.with_for_update(skip_locked=True) if conn.dialect.name == "postgresql" else query
