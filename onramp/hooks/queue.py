"""The queue of due deliveries: one process at a time leases an endpoint, takes what is due, and records what became of it."""

import random as _random
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.crypto.encryption import DecryptionError
from kit.crypto.keyring import KeyRing
from kit.db.leases import claim, release
from kit.db.types import UtcDateTime, constant, db_now
from onramp.hooks import schedule, secret_store
from onramp.hooks import service as hooks_service
from onramp.hooks.attempts import Attempt, Outcome
from onramp.hooks.model import MAX_ATTEMPTS
from onramp.hooks.signing import Secrets
from onramp.hooks.table import DeliveryStatus, EndpointStatus, deliveries, endpoints, messages

LEASE_SECONDS: Final = 20.0
"""How long an endpoint waits for a process that died; a process that works renews its lease well before."""
DISABLE_AFTER: Final = timedelta(days=5)
"""How long an endpoint may fail without one success."""
_SUCCESS_EVERY: Final = timedelta(minutes=1)
"""How exact the stored time of the last success is."""
_PENDING: Final = deliveries.c.status == constant(DeliveryStatus.PENDING)
_ENABLED: Final = endpoints.c.status == constant(EndpointStatus.ENABLED)
BY: Final = "webhooks"
"""The actor of the audit entries of this worker."""
Now = Callable[[AsyncConnection], Awaitable[datetime]]


async def database_now(conn: AsyncConnection) -> datetime:
    """Return the database's clock, by which deliveries are due: the processes' clocks may differ by minutes."""
    moment: datetime = (await conn.execute(sa.select(sa.type_coerce(db_now(), UtcDateTime())))).scalar_one()
    return moment


@dataclass(frozen=True, slots=True)
class Job:
    """A delivery that is due, with the bytes to send."""

    id: str
    message_id: str
    body: str
    tries: int
    attempts: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Work:
    """What an endpoint's lease holder does next."""

    url: str
    secrets: Secrets
    jobs: Sequence[Job]


def _due(now: datetime) -> sa.ColumnElement[bool]:
    due = sa.exists().where(deliveries.c.endpoint_id == endpoints.c.id, _PENDING, deliveries.c.due_at <= now)
    return sa.and_(_ENABLED, due)


async def any_due(conn: AsyncConnection, now: datetime) -> bool:
    """Return whether any endpoint has a delivery that is due, and no process that works on it."""
    free = sa.or_(endpoints.c.lease_until.is_(None), endpoints.c.lease_until < db_now())
    return (await conn.execute(sa.select(endpoints.c.id).where(_due(now), free).limit(1))).first() is not None


async def any_endpoint(conn: AsyncConnection) -> bool:
    """Return whether there is any endpoint."""
    return (await conn.execute(sa.select(endpoints.c.id).limit(1))).first() is not None


async def lease(conn: AsyncConnection, owner: str, now: datetime) -> list[str]:
    """Lease every endpoint that has a delivery that is due and no process that works on it. Return their ids."""
    rows = await claim(
        conn,
        endpoints,
        owner=owner,
        seconds=LEASE_SECONDS,
        limit=hooks_service.MAX_ENDPOINTS,
        due=_due(now),
        order_by=endpoints.c.id,
    )
    return [row.id for row in rows]


async def take(
    conn: AsyncConnection,
    ring: KeyRing,
    endpoint_id: str,
    owner: str,
    *,
    now: datetime,
    limit: int,
    running: Collection[str],
) -> Work | None:
    """Renew the lease, and return up to `limit` deliveries that are due and not among the ids `running`.

    None if there is nothing to do for this process: the endpoint is disabled, deleted or leased by another one, or its secrets cannot be
    decrypted, which disables it.
    """
    renewed = await conn.execute(
        sa.update(endpoints)
        .where(endpoints.c.id == endpoint_id, endpoints.c.lease_owner == owner, _ENABLED)
        .values(lease_until=db_now(LEASE_SECONDS))
        .returning(endpoints)
    )
    row = renewed.one_or_none()
    if row is None:
        return None
    try:
        secrets = secret_store.secrets_of(ring, row, now)
    except DecryptionError:
        endpoint = hooks_service.to_endpoint(row, ring)
        await hooks_service.disable(conn, endpoint, "secret_unreadable", by=BY, now=now)
        return None
    query = (
        sa.select(deliveries, messages.c.body)
        .join(messages, messages.c.id == deliveries.c.message_id)
        .where(deliveries.c.endpoint_id == endpoint_id, _PENDING, deliveries.c.due_at <= now)
        .order_by(deliveries.c.due_at)
        .limit(limit + len(running))
    )
    rows = (await conn.execute(query)).fetchall() if limit else []
    jobs = [Job(d.id, d.message_id, d.body, d.tries, d.attempts) for d in rows if d.id not in running]
    return Work(row.url, secrets, jobs[:limit])


async def give_back(conn: AsyncConnection, endpoint_id: str, owner: str) -> None:
    """End the lease of an endpoint."""
    await release(conn, endpoints, endpoint_id, owner)


async def record(
    conn: AsyncConnection,
    ring: KeyRing,
    endpoint_id: str,
    ended: Sequence[tuple[Job, Attempt]],
    *,
    now: datetime,
    random: _random.Random,
) -> None:
    """Store what became of these attempts, when each delivery is due next, and what follows for the endpoint."""
    if not ended:
        return
    # A delivery that was repeated by hand meanwhile has other `tries`, and keeps its new schedule.
    statement = (
        sa.update(deliveries)
        .where(deliveries.c.id == sa.bindparam("delivery"), deliveries.c.tries == sa.bindparam("tried"), _PENDING)
        .values({name: sa.bindparam(name) for name in _RESULT})
    )
    await conn.execute(statement, [_result(job, attempt, now, random) for job, attempt in ended])
    row = (await conn.execute(sa.select(endpoints).where(endpoints.c.id == endpoint_id))).one_or_none()
    if row is None:
        return
    outcomes = {attempt.outcome for _, attempt in ended}
    if Outcome.GONE in outcomes:
        await _disable(conn, ring, row, "gone", now)
    elif Outcome.DELIVERED in outcomes:
        is_old = row.last_success_at is None or now - row.last_success_at >= _SUCCESS_EVERY
        if row.failing_since is not None or is_old:
            await _set(conn, endpoint_id, failing_since=None, last_success_at=now)
    elif row.failing_since is None:
        await _set(conn, endpoint_id, failing_since=now)
    elif now - row.failing_since >= DISABLE_AFTER:
        await _disable(conn, ring, row, "failing", now)


_RESULT: Final = ("status", "tries", "attempts", "response_body", "due_at", "ended_at")


def _result(job: Job, attempt: Attempt, now: datetime, random: _random.Random) -> dict[str, Any]:
    tries = job.tries + 1
    if attempt.outcome is Outcome.DELIVERED:
        status, delay = DeliveryStatus.DELIVERED, None
    else:
        delay = None if attempt.outcome is Outcome.GONE else schedule.next_delay(tries, attempt.retry_after, random)
        status = DeliveryStatus.FAILED if delay is None else DeliveryStatus.PENDING
    return {
        "delivery": job.id,
        "tried": job.tries,
        "status": status,
        "tries": tries,
        "attempts": [*job.attempts, attempt.stored()][-MAX_ATTEMPTS:],
        "response_body": attempt.body,
        "due_at": now if delay is None else now + timedelta(seconds=delay),
        "ended_at": now if delay is None else None,
    }


async def _disable(conn: AsyncConnection, ring: KeyRing, row: Any, reason: str, now: datetime) -> None:
    await hooks_service.disable(conn, hooks_service.to_endpoint(row, ring), reason, by=BY, now=now)


async def _set(conn: AsyncConnection, endpoint_id: str, **values: Any) -> None:
    await conn.execute(sa.update(endpoints).where(endpoints.c.id == endpoint_id).values(**values))
