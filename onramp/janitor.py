"""The janitor: forget what need not be remembered, and count what is there."""

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.clock import Clock
from kit.database import Database
from kit.logs import get_logger
from kit.worker import WorkerMetrics
from onramp.api_keys import alarms
from onramp.api_keys import service as keys_service
from onramp.deliveries import waiting
from onramp.login import service as login_service
from onramp.privacy import service as privacy
from onramp.screening.listing import Screening
from onramp.sessions import pruning
from onramp.sessions import service as sessions_service
from onramp.sessions.rules import CLIENT_KEY_LIFETIME
from onramp.sessions.table import sessions
from onramp.webhooks import service as inbox_service
from treasury.assets import USDC_DECIMALS
from treasury.pause import service as pause
from treasury.pause.table import SCOPES
from treasury.payouts import service as payouts
from treasury.payouts.table import payouts as payouts_table
from treasury.settlements import queries as settlements
from treasury.settlements.watch import Watch
from treasury.status import IN_FLIGHT, Status

log = get_logger(__name__)
KEEP_EVENTS: Final = timedelta(days=90)
WATCH_EVERY: Final = timedelta(minutes=10)


class StateMetrics:
    """How many sessions and deliveries stand where."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare the families."""
        self.sessions = Gauge("onramp_sessions", "Sessions by payment status.", ("status",), registry=registry)
        self.deliveries = Gauge(
            "onramp_deliveries", "Deliveries of paid sessions by status.", ("status",), registry=registry
        )
        self.overdue = Gauge("onramp_deliveries_overdue", "Paid, not confirmed, and late.", registry=registry)
        self.settlements = Gauge(
            "treasury_usdc_settlements", "Settlements of USDC by status.", ("status",), registry=registry
        )
        self.unverified = Gauge(
            "treasury_usdc_settled_unverified", "USDC settled that its chain has not shown.", registry=registry
        )
        self.contradicted = Gauge(
            "treasury_usdc_contradicted", "Settlements that the chain contradicts.", registry=registry
        )
        self.paused = Gauge("treasury_paused", "1 while a person has stopped this.", ("scope",), registry=registry)
        self.key_alarms = alarms.counter(registry)


class Janitor:
    """Cleans and counts."""

    name = "janitor"
    interval = 15.0

    def __init__(
        self,
        database: Database,
        clock: Clock,
        metrics: StateMetrics,
        screening: Screening,
        workers: WorkerMetrics,
        keep_contacts: timedelta,
        keep_unpaid: timedelta = timedelta(days=30),
        watch: Watch | None = None,
    ) -> None:
        """`screening` as the sender asks it; contacts are kept for `keep_contacts`, unpaid sessions for `keep_unpaid` after they ended.

        `watch` looks again at USDC that was settled.
        """
        self._watch = watch
        self._watched = clock.now() - timedelta(days=1)
        self._keep_contacts = keep_contacts
        self._keep_unpaid = keep_unpaid
        self._screening = screening
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._workers = workers
        self._key_alarms = alarms.KeyAlarms(database, clock, metrics.key_alarms)
        self._cleaned = clock.now() - timedelta(days=1)

    async def step(self) -> bool:
        """One round; cleaning once an hour, and at each round the nonces, which anybody may have made for nothing."""
        now = self._clock.now()
        async with self._database.write() as connection:
            await login_service.forget_expired(connection, now)
        if now - self._cleaned >= timedelta(hours=1):
            async with self._database.write() as connection:
                keys = await sessions_service.forget_client_keys(connection, now - CLIENT_KEY_LIFETIME)
                events = await inbox_service.prune(connection, now - KEEP_EVENTS)
                secrets = await keys_service.prune(connection, now)
                contacts = await privacy.prune(connection, now - self._keep_contacts, by=self.name, now=now)
            unpaid = await pruning.prune(self._database, now - self._keep_unpaid, by=self.name, now=now)
            log.info(
                "janitor.cleaned",
                client_keys=keys,
                events=events,
                key_secrets=secrets,
                contacts=contacts,
                unpaid_sessions=unpaid,
            )
            self._cleaned = now
        await self._key_alarms.step()
        await self._unlist()
        if self._watch is not None and now - self._watched >= WATCH_EVERY:
            await self._watch.step()
            self._watched = now
        await self._count()
        return False

    async def _unlist(self) -> None:
        async with self._database.read() as connection:
            held = await payouts.screened(connection)
        # One who was listed by the oracle stays so until it says otherwise: silence lets nobody go.
        if not held or await self._screening.ask([payout.to for payout in held], anew=True):
            return
        if all(payout.to in self._screening for payout in held):
            return
        async with self._database.write() as connection:
            released = await payouts.unlist(connection, self._screening, now=self._clock.now())
        log.warning("screening.payouts_released", payouts=released)

    async def _count(self) -> None:
        by_payment = sa.select(sessions.c.payment_status, sa.func.count()).group_by(sessions.c.payment_status)
        by_delivery = (
            sa.select(sessions.c.delivery_status, sa.func.count())
            .where(sessions.c.payment_status == "fulfillment_complete")
            .group_by(sessions.c.delivery_status)
        )
        async with self._database.read() as connection:
            payments = (await connection.execute(by_payment)).fetchall()
            deliveries = (await connection.execute(by_delivery)).fetchall()
            overdue = await waiting.count_overdue(connection)
            paused = await pause.state(connection)
            backlogs = await self._backlogs(connection)
            settled, unverified, contradicted = await settlements.totals(connection)
        self._metrics.sessions.clear()
        for status, count in payments:
            self._metrics.sessions.labels(status).set(count)
        self._metrics.deliveries.clear()
        for status, count in deliveries:
            self._metrics.deliveries.labels(status).set(count)
        self._metrics.overdue.set(overdue)
        for worker, (count, oldest) in backlogs.items():
            self._workers.backlog.labels(worker).set(count)
            age = 0.0 if oldest is None else (self._clock.now() - oldest).total_seconds()
            self._workers.age.labels(worker).set(max(0.0, age))
        for status, count in settled.items():
            self._metrics.settlements.labels(status).set(count)
        self._metrics.unverified.set(unverified / 10**USDC_DECIMALS)
        self._metrics.contradicted.set(contradicted)
        for scope in SCOPES:
            self._metrics.paused.labels(scope).set(paused.stops(scope))

    @staticmethod
    async def _backlogs(connection: AsyncConnection) -> dict[str, tuple[int, datetime | None]]:
        """Of those that work along the chain: how many wait, and since when the oldest does."""
        p = payouts_table.c
        paid = sa.and_(
            sessions.c.payment_status == "fulfillment_complete", sessions.c.delivery_status.in_(["awaiting", "seen"])
        )
        queues = {
            "treasury": (p.created_at, p.status.in_([Status.PLANNED, Status.APPROVED, *IN_FLIGHT])),
            "deliveries": (sessions.c.updated_at, paid),
        }
        found = {}
        for worker, (since, due) in queues.items():
            count, oldest = (await connection.execute(sa.select(sa.func.count(), sa.func.min(since)).where(due))).one()
            found[worker] = (count, oldest)
        return found
