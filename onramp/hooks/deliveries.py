"""Read and repeat deliveries, inside the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit import service as audit_service
from kit.db.bulk import insert_new
from kit.db.paging import Position, newest_first
from kit.http.problems import Problem, not_found
from onramp.hooks import messages as messages_service
from onramp.hooks.event_data import TestData
from onramp.hooks.event_types import ALL_EVENTS, EventType
from onramp.hooks.messages import delivery_row
from onramp.hooks.model import Delivery, Endpoint
from onramp.hooks.table import DeliveryStatus, EndpointStatus, deliveries, messages

_AGAIN: Final[dict[str, Any]] = {"status": DeliveryStatus.PENDING, "tries": 0, "ended_at": None}
"""The columns that are set when a delivery starts its schedule of attempts again."""
_JOINED: Final = sa.select(deliveries, messages.c.type, messages.c.subject).join(
    messages, messages.c.id == deliveries.c.message_id
)


async def get(conn: AsyncConnection, delivery_id: str) -> Delivery:
    """Return one delivery. Raises Problem 404."""
    row = (await conn.execute(_JOINED.where(deliveries.c.id == delivery_id))).one_or_none()
    if row is None:
        raise not_found("delivery")
    return to_delivery(row)


async def newest(
    conn: AsyncConnection,
    endpoint_id: str,
    *,
    limit: int,
    before: Position | None = None,
    status: DeliveryStatus | None = None,
) -> Sequence[Delivery]:
    """Return up to `limit` deliveries of an endpoint, the newest first; with `before`, those after that position of the list."""
    query = newest_first(_JOINED, deliveries.c.created_at, deliveries.c.id, before).limit(limit)
    query = query.where(deliveries.c.endpoint_id == endpoint_id)
    if status is not None:
        query = query.where(deliveries.c.status == status)
    return [to_delivery(row) for row in await conn.execute(query)]


async def of_subject(conn: AsyncConnection, subject: str, since: datetime) -> list[Delivery]:
    """Return the deliveries of messages about a subject that were stored since a time, the oldest first."""
    query = _JOINED.where(messages.c.created_at >= since, messages.c.subject == subject)
    rows = await conn.execute(query.order_by(deliveries.c.created_at, deliveries.c.id))
    return [to_delivery(row) for row in rows]


async def send_test(conn: AsyncConnection, endpoint: Endpoint, now: datetime) -> Delivery:
    """Plan a test message to this endpoint alone, and return its delivery. Raises Problem 409 if the endpoint is disabled."""
    require_enabled(endpoint)
    data = TestData(endpoint_id=endpoint.id).model_dump(by_alias=True)
    message = messages_service.render(EventType.WEBHOOK_TEST, endpoint.id, now, data)
    await messages_service.store(conn, [(message, [endpoint.id])])
    row = (await conn.execute(_JOINED.where(deliveries.c.message_id == message.id))).one()
    return to_delivery(row)


async def redeliver(conn: AsyncConnection, delivery_id: str, endpoint: Endpoint, *, by: str, now: datetime) -> Delivery:
    """Send a message again, with the same id and bytes, and a new schedule. Raises Problem 409 if its endpoint is disabled."""
    require_enabled(endpoint)
    await conn.execute(sa.update(deliveries).where(deliveries.c.id == delivery_id).values(due_at=now, **_AGAIN))
    facts = {"delivery": delivery_id}
    await audit_service.record(conn, by, "webhook.redeliver", endpoint.id, None, facts, at=now)
    return await get(conn, delivery_id)


async def recover(conn: AsyncConnection, endpoint: Endpoint, since: datetime, *, by: str, now: datetime) -> int:
    """Send again what an endpoint has missed since a time: what failed, and what was never planned for it. Return how many messages.

    What is pending is due at once. Raises Problem 409 if the endpoint is disabled.
    """
    require_enabled(endpoint)
    mine = sa.and_(deliveries.c.endpoint_id == endpoint.id, deliveries.c.created_at >= since)
    again = sa.update(deliveries).where(mine, deliveries.c.status != DeliveryStatus.DELIVERED)
    count = (await conn.execute(again.values(due_at=now, **_AGAIN))).rowcount
    planned = sa.select(deliveries.c.id).where(
        deliveries.c.message_id == messages.c.id, deliveries.c.endpoint_id == endpoint.id
    )
    missed = sa.select(messages.c.id, messages.c.created_at).where(
        messages.c.created_at >= since, messages.c.type != EventType.WEBHOOK_TEST, ~planned.exists()
    )
    if ALL_EVENTS not in endpoint.events:
        missed = missed.where(messages.c.type.in_(list(endpoint.events)))
    rows = [
        delivery_row(endpoint.id, row.id, row.created_at, due=now) for row in (await conn.execute(missed)).fetchall()
    ]
    if rows:
        await insert_new(conn, deliveries, rows, ["message_id", "endpoint_id"])
    count += len(rows)
    facts = {"since": since, "messages": count}
    await audit_service.record(conn, by, "webhook.recover", endpoint.id, None, facts, at=now)
    return count


def require_enabled(endpoint: Endpoint) -> None:
    """Raise Problem 409 if nothing is sent to an endpoint."""
    if endpoint.status is EndpointStatus.DISABLED:
        detail = "This webhook is disabled, so nothing was planned. Enable it first."
        raise Problem(409, "webhook_disabled", detail)


def to_delivery(row: Any) -> Delivery:
    """Return a joined database row as a `Delivery`."""
    return Delivery(
        id=row.id,
        endpoint_id=row.endpoint_id,
        message_id=row.message_id,
        type=row.type,
        subject=row.subject,
        status=DeliveryStatus(row.status),
        tries=row.tries,
        attempts=row.attempts,
        response_body=row.response_body,
        due_at=row.due_at,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )
