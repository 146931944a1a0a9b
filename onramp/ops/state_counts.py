"""Count sessions, deliveries and backlogs by status for the metrics. A count reads open rows only; ended ones are counted by triggers."""

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.clock import Clock
from kit.db import ended_counts
from kit.db.database import Database
from kit.db.types import constant
from kit.worker import WorkerMetrics
from onramp.auth.api_keys import alarms
from onramp.deliveries import delivery_reasons
from onramp.deliveries.service import UNCONFIRMED
from onramp.sessions.states import OPEN, UNPAID
from onramp.sessions.status import DeliveryStatus, PaymentStatus
from onramp.sessions.table import sessions
from treasury.core.assets import USDC_DECIMALS
from treasury.pause import service as pause_service
from treasury.pause.model import SCOPES
from treasury.payouts import queries as payout_queries
from treasury.settlements import queries as settlements
from treasury.settlements.states import SettlementStatus

ALIKE: Final = "Every worker sets it alike: read it with max."
_PAYMENTS: Final = (
    sa.select(sessions.c.payment_status, sa.func.count())
    .where(sessions.c.payment_status.in_([constant(status) for status in sorted(OPEN | UNPAID)]))
    .group_by(sessions.c.payment_status)
)
_DELIVERIES: Final = (
    sa.select(sessions.c.delivery_status, sa.func.count())
    .where(
        UNCONFIRMED,
        sessions.c.delivery_status.in_(
            [constant(status) for status in sorted(set(DeliveryStatus) - {DeliveryStatus.CONFIRMED})]
        ),
    )
    .group_by(sessions.c.delivery_status)
)
_DELIVERIES_BACKLOG: Final = sa.select(sa.func.count(), sa.func.min(sessions.c.updated_at)).where(
    UNCONFIRMED, sessions.c.delivery_status.in_([DeliveryStatus.AWAITING, DeliveryStatus.SEEN])
)


class StateMetrics:
    """Gauges of sessions, deliveries, settlements and pauses by status."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sessions = Gauge("onramp_sessions", f"Sessions by payment status. {ALIKE}", ("status",), registry=registry)
        self.deliveries = Gauge(
            "onramp_deliveries", f"Deliveries of paid sessions by status. {ALIKE}", ("status",), registry=registry
        )
        self.overdue = Gauge("onramp_deliveries_overdue", f"Paid, not confirmed, and late. {ALIKE}", registry=registry)
        self.settlements = Gauge(
            "treasury_usdc_settlements", f"Settlements of USDC by status. {ALIKE}", ("status",), registry=registry
        )
        self.unverified = Gauge(
            "treasury_usdc_settled_unverified", f"USDC settled that its chain has not shown. {ALIKE}", registry=registry
        )
        self.contradicted = Gauge(
            "treasury_usdc_contradicted", f"Settlements that the chain contradicts. {ALIKE}", registry=registry
        )
        self.paused = Gauge(
            "treasury_paused", f"1 while a person has stopped this. {ALIKE}", ("scope",), registry=registry
        )
        self.oldest_payout = Gauge(
            "treasury_payout_oldest_seconds",
            f"Age of the oldest payout that is held or waits for an approval; 0 without one. {ALIKE}",
            ("status",),
            registry=registry,
        )
        self.key_alarms = alarms.counter(registry)
        for status in PaymentStatus:
            self.sessions.labels(status)
        for delivery in DeliveryStatus:
            self.deliveries.labels(delivery)
        for settlement in SettlementStatus:
            self.settlements.labels(settlement)
        for waiting in payout_queries.WAITING:
            self.oldest_payout.labels(waiting)
        for scope in SCOPES:
            self.paused.labels(scope)


async def by_payment(conn: AsyncConnection) -> dict[str, int]:
    """Return the number of sessions in each payment status; statuses without sessions are omitted."""
    return await _counted(conn, "sessions", _PAYMENTS)


async def by_delivery(conn: AsyncConnection) -> dict[str, int]:
    """Return the number of paid sessions in each delivery status; statuses without sessions are omitted."""
    return await _counted(conn, "deliveries", _DELIVERIES)


async def _counted(conn: AsyncConnection, subject: str, still_open: sa.Select[Any]) -> dict[str, int]:
    open_ = {row[0]: row[1] for row in await conn.execute(still_open)}
    ended = await ended_counts.ended(conn, subject)
    return {status: count for status, count in (ended | open_).items() if count > 0}


async def refresh(database: Database, metrics: StateMetrics, workers: WorkerMetrics, clock: Clock) -> None:
    """Count, then set all gauges. If the database cannot be read, no gauge changes."""
    backlogs: dict[str, tuple[int, datetime | None]] = {}
    async with database.read() as conn:
        payments = await by_payment(conn)
        deliveries = await by_delivery(conn)
        overdue = await delivery_reasons.count_overdue(conn)
        paused = await pause_service.current(conn)
        oldest_payouts = await payout_queries.oldest_waiting(conn)
        backlogs["treasury"] = await payout_queries.backlog(conn)
        count, oldest = (await conn.execute(_DELIVERIES_BACKLOG)).one()
        backlogs["deliveries"] = (count, oldest)
        settled, unverified, contradicted = await settlements.totals(conn)
    for status in PaymentStatus:
        metrics.sessions.labels(status).set(payments.get(status, 0))
    for delivery in DeliveryStatus:
        metrics.deliveries.labels(delivery).set(deliveries.get(delivery, 0))
    for waiting in payout_queries.WAITING:
        since = oldest_payouts.get(waiting)
        metrics.oldest_payout.labels(waiting).set(0.0 if since is None else _age(since, clock))
    metrics.overdue.set(overdue)
    for worker, (count, oldest) in backlogs.items():
        workers.backlog.labels(worker).set(count)
        workers.age.labels(worker).set(0.0 if oldest is None else _age(oldest, clock))
    for settlement in SettlementStatus:
        metrics.settlements.labels(settlement).set(settled.get(settlement, 0))
    metrics.unverified.set(unverified / 10**USDC_DECIMALS)
    metrics.contradicted.set(contradicted)
    for scope in SCOPES:
        metrics.paused.labels(scope).set(paused.stops(scope))


def _age(since: datetime, clock: Clock) -> float:
    return max(0.0, (clock.now() - since).total_seconds())
