"""Operations on endpoints, each in the caller's open transaction, each with its audit entry."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.alarms import service as alarms_service
from kit.audit import service as audit_service
from kit.clock import rfc3339
from kit.crypto.encryption import DecryptionError
from kit.crypto.keyring import KeyRing
from kit.http.problems import Problem, not_found
from kit.outbox import service as outbox_service
from onramp.hooks import messages as messages_service
from onramp.hooks import secret_store
from onramp.hooks.event_data import DisabledData
from onramp.hooks.event_types import EventType, topics_of, wants
from onramp.hooks.model import Endpoint, Subscription
from onramp.hooks.table import EndpointStatus, endpoints

CONSUMER: Final = "webhooks"
MAX_ENDPOINTS: Final = 16
DISABLED_ALARM: Final = "hooks.endpoint_disabled"


async def create(
    conn: AsyncConnection,
    ring: KeyRing,
    *,
    endpoint_id: str,
    url: str,
    events: Sequence[str],
    ed25519: bool,
    by: str,
    now: datetime,
) -> tuple[Endpoint, str]:
    """Store a new endpoint; return it with its secret, which no later call returns. Raises Problem 409 if there are MAX_ENDPOINTS already."""
    await _one_at_a_time(conn)
    count = (await conn.execute(sa.select(sa.func.count()).select_from(endpoints))).scalar_one()
    if count >= MAX_ENDPOINTS:
        detail = f"There are {MAX_ENDPOINTS} endpoints already. Delete one first; nothing was created."
        raise Problem(409, "too_many_webhooks", detail)
    secret, columns = secret_store.new_columns(ring, endpoint_id, ed25519=ed25519)
    await conn.execute(
        sa.insert(endpoints).values(
            id=endpoint_id,
            url=url,
            events=list(events),
            status=EndpointStatus.ENABLED,
            earlier_secrets=[],
            created_at=now,
            updated_at=now,
            **columns,
        )
    )
    await _subscribe(conn)
    endpoint = await get(conn, ring, endpoint_id)
    await audit_service.record(conn, by, "webhook.create", endpoint_id, None, _audited(endpoint), at=now)
    return endpoint, secret


async def change(
    conn: AsyncConnection,
    ring: KeyRing,
    endpoint_id: str,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    status: EndpointStatus | None = None,
    by: str,
    now: datetime,
) -> Endpoint:
    """Change an endpoint; None leaves a value as it is. What waits for an endpoint that is enabled again is sent then. Raises Problem 404."""
    await _one_at_a_time(conn)
    before = await get(conn, ring, endpoint_id)
    values: dict[str, Any] = {"updated_at": now}
    if url is not None:
        values["url"] = url
    if events is not None:
        values["events"] = list(events)
    if status is EndpointStatus.DISABLED and before.status is not status:
        values |= {"status": status, "disabled_reason": "by_hand", "disabled_at": now}
    if status is EndpointStatus.ENABLED and before.status is not status:
        values |= {"status": status, "disabled_reason": None, "disabled_at": None, "failing_since": None}
        await alarms_service.clear(conn, [(DISABLED_ALARM, endpoint_id)], now)
    await conn.execute(sa.update(endpoints).where(endpoints.c.id == endpoint_id).values(**values))
    await _subscribe(conn)
    after = await get(conn, ring, endpoint_id)
    await audit_service.record(
        conn,
        by,
        "webhook.update",
        endpoint_id,
        _audited(before),
        _audited(after) | {"url_changed": url is not None},
        at=now,
    )
    return after


async def rotate(
    conn: AsyncConnection, ring: KeyRing, endpoint_id: str, *, overlap: timedelta, by: str, now: datetime
) -> tuple[Endpoint, str]:
    """Give an endpoint new secrets; return it with the one that is shown once. The old ones sign as well for `overlap`. Raises Problem 404."""
    await _one_at_a_time(conn)
    row = await _row(conn, endpoint_id)
    secret, columns = secret_store.new_columns(ring, endpoint_id, ed25519=row.signing_key_sealed is not None)
    columns["earlier_secrets"] = secret_store.rotated(row, now, overlap)
    await conn.execute(sa.update(endpoints).where(endpoints.c.id == endpoint_id).values(updated_at=now, **columns))
    await audit_service.record(conn, by, "webhook.rotate", endpoint_id, None, {"old_until": now + overlap}, at=now)
    return await get(conn, ring, endpoint_id), secret


async def delete(conn: AsyncConnection, ring: KeyRing, endpoint_id: str, *, by: str, now: datetime) -> Endpoint:
    """Delete an endpoint, and return it as it was. Nothing is sent to it any more; the janitor deletes its deliveries. Raises Problem 404."""
    await _one_at_a_time(conn)
    endpoint = await get(conn, ring, endpoint_id)
    await conn.execute(sa.delete(endpoints).where(endpoints.c.id == endpoint_id))
    await alarms_service.clear(conn, [(DISABLED_ALARM, endpoint_id)], now)
    await _subscribe(conn)
    await audit_service.record(conn, by, "webhook.delete", endpoint_id, _audited(endpoint), None, at=now)
    return endpoint


async def disable(conn: AsyncConnection, endpoint: Endpoint, reason: str, *, by: str, now: datetime) -> None:
    """Stop sending to an endpoint because of a `reason` of its own: raise the alarm, and tell the other endpoints. Twice changes nothing."""
    disabled = await conn.execute(
        sa.update(endpoints)
        .where(endpoints.c.id == endpoint.id, endpoints.c.status == EndpointStatus.ENABLED)
        .values(status=EndpointStatus.DISABLED, disabled_reason=reason, disabled_at=now, updated_at=now)
    )
    if disabled.rowcount != 1:
        return
    facts = {"status": EndpointStatus.DISABLED, "reason": reason, "host": endpoint.host}
    await audit_service.record(conn, by, "webhook.disable", endpoint.id, {"status": endpoint.status}, facts, at=now)
    await alarms_service.raise_in(conn, "hooks.endpoint_disabled", endpoint.id, now, host=endpoint.host, reason=reason)
    event = EventType.WEBHOOK_DISABLED
    data = DisabledData(endpoint_id=endpoint.id, host=endpoint.host, reason=reason, disabled_at=rfc3339(now))
    others = [s.id for s in await subscriptions(conn) if s.is_enabled and wants(s.events, event)]
    if others:
        message = messages_service.render(event, endpoint.id, now, data.model_dump(by_alias=True))
        await messages_service.store(conn, [(message, others)])


async def get(conn: AsyncConnection, ring: KeyRing, endpoint_id: str) -> Endpoint:
    """Return one endpoint. Raises Problem 404."""
    return to_endpoint(await _row(conn, endpoint_id), ring)


async def newest(conn: AsyncConnection, ring: KeyRing) -> list[Endpoint]:
    """Return all endpoints, the newest first; there are at most MAX_ENDPOINTS."""
    query = sa.select(endpoints).order_by(endpoints.c.created_at.desc(), endpoints.c.id.desc())
    return [to_endpoint(row, ring) for row in await conn.execute(query)]


async def subscriptions(conn: AsyncConnection) -> list[Subscription]:
    """Return what each endpoint wants to know."""
    rows = await conn.execute(sa.select(endpoints.c.id, endpoints.c.events, endpoints.c.status))
    return [Subscription(row.id, row.events, row.status == EndpointStatus.ENABLED) for row in rows]


def to_endpoint(row: Any, ring: KeyRing) -> Endpoint:
    """Return a database row as an `Endpoint`; without its public key if DATA_KEYS cannot decrypt it any more."""
    try:
        public_key = secret_store.public_key_of(ring, row)
    except DecryptionError:
        public_key = None
    return Endpoint(
        id=row.id,
        url=row.url,
        events=row.events,
        status=EndpointStatus(row.status),
        disabled_reason=row.disabled_reason,
        disabled_at=row.disabled_at,
        public_key=public_key,
        failing_since=row.failing_since,
        last_success_at=row.last_success_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


async def _row(conn: AsyncConnection, endpoint_id: str) -> Any:
    row = (await conn.execute(sa.select(endpoints).where(endpoints.c.id == endpoint_id))).one_or_none()
    if row is None:
        raise not_found("webhook")
    return row


async def _subscribe(conn: AsyncConnection) -> None:
    """Store from now on the changes of the topics that the endpoints need, disabled ones included: they may recover them."""
    topics: set[str] = set()
    for subscription in await subscriptions(conn):
        topics |= topics_of(subscription.events)
    await outbox_service.subscribe(conn, CONSUMER, topics)


async def _one_at_a_time(conn: AsyncConnection) -> None:
    """Serialize changes of endpoints until the transaction ends: their number and the topics depend on all of them. SQLite has one writer anyway."""
    if conn.dialect.name == "postgresql":
        await conn.execute(sa.select(sa.func.pg_advisory_xact_lock(0x686F6F6B)))


def _audited(endpoint: Endpoint) -> dict[str, Any]:
    return {"host": endpoint.host, "events": list(endpoint.events), "status": endpoint.status}
