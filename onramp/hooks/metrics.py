"""The metrics of outgoing webhooks."""

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.types import constant
from kit.worker import WorkerMetrics
from onramp.hooks.attempts import Outcome
from onramp.hooks.table import DeliveryStatus, EndpointStatus, deliveries, endpoints

_ENABLED: Final = sa.select(endpoints.c.id).where(endpoints.c.status == EndpointStatus.ENABLED)
_UNDELIVERED: Final = sa.select(sa.func.count(), sa.func.min(deliveries.c.created_at)).where(
    deliveries.c.status == constant(DeliveryStatus.PENDING), deliveries.c.endpoint_id.in_(_ENABLED)
)
_DISABLED: Final = (
    sa.select(sa.func.count()).select_from(endpoints).where(endpoints.c.status == EndpointStatus.DISABLED)
)


class HookMetrics:
    """Counts attempts, and shows what is undelivered. Every process that sends sets the gauges: use `max`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.attempts = Counter(
            "onramp_hook_attempts_total",
            "Attempts to deliver outgoing webhooks, by outcome.",
            ("outcome",),
            registry=registry,
        )
        for outcome in Outcome:
            self.attempts.labels(outcome)
        self.oldest = Gauge(
            "onramp_hook_oldest_undelivered_seconds",
            "Age of the oldest message that an enabled endpoint has not accepted; 0 if all are accepted. Aggregate with max.",
            registry=registry,
        )
        self.disabled = Gauge(
            "onramp_hook_endpoints_disabled", "Endpoints to which nothing is sent. Use max.", registry=registry
        )

    async def measure(self, conn: AsyncConnection, workers: WorkerMetrics, worker: str, now: datetime) -> None:
        """Set the gauges, and those that every worker has, at the time `now`."""
        count, oldest = (await conn.execute(_UNDELIVERED)).one()
        age = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
        self.oldest.set(age)
        workers.backlog.labels(worker).set(count)
        workers.age.labels(worker).set(age)
        self.disabled.set((await conn.execute(_DISABLED)).scalar_one())
