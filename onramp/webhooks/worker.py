"""The inbox worker: for each session that events speak of, fetch it from Stripe once and apply what it says."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from kit.backoff import backoff
from kit.clock import Clock
from kit.database import Database
from kit.logs import get_logger
from kit.problems import Problem
from kit.worker import WorkerMetrics
from onramp.sessions.refresh import Refresher
from onramp.stripe.errors import StripeNotFound
from onramp.webhooks import service
from onramp.webhooks.intake import WebhookMetrics
from onramp.webhooks.service import Claimed

log = get_logger(__name__)
BATCH: Final = 64
SIDE_BY_SIDE: Final = 8


class InboxWorker:
    """Claims due events, and answers all events of one session with one look at Stripe."""

    name = "inbox"
    interval = 1.0

    def __init__(
        self,
        database: Database,
        refresher: Refresher,
        clock: Clock,
        owner: str,
        metrics: WebhookMetrics,
        worker_metrics: WorkerMetrics,
        paid: Callable[[], None],
    ) -> None:
        """`paid` wakes the treasury and deliveries workers when a session has come to owe something."""
        self._database = database
        self._refresher = refresher
        self._clock = clock
        self._owner = owner
        self._metrics = metrics
        self._worker_metrics = worker_metrics
        self._paid = paid

    async def step(self) -> bool:
        """Handle one batch."""
        async with self._database.write() as connection:
            claimed = await service.claim_due(connection, self._owner, BATCH)
        if not claimed:
            await self._measure()
            return False
        by_session: dict[str, list[Claimed]] = defaultdict(list)
        for event in claimed:
            by_session[event.stripe_session_id].append(event)
        gate = asyncio.Semaphore(SIDE_BY_SIDE)

        async def handle(stripe_id: str, events: list[Claimed]) -> None:
            async with gate:
                await self._handle(stripe_id, events)

        await asyncio.gather(*(handle(stripe_id, events) for stripe_id, events in by_session.items()))
        return True

    async def _handle(self, stripe_id: str, events: list[Claimed]) -> None:
        try:
            applied = await self._refresher.refresh(stripe_id)
        except StripeNotFound:
            await self._finish(events, "ignored", "Stripe knows no such session")
            return
        except Problem as error:
            await self._postpone(events, error.code)
            return
        except Exception as error:
            log.exception("inbox.failed", stripe_session=stripe_id)
            await self._postpone(events, type(error).__name__)
            return
        if applied is None:
            await self._finish(events, "ignored", "a session that is not ours")
            return
        await self._finish(events, "handled", None)
        if applied.changed:
            self._paid()

    async def _finish(self, events: list[Claimed], state: str, reason: str | None) -> None:
        now = self._clock.now()
        async with self._database.write() as connection:
            await service.finish(connection, [event.id for event in events], self._owner, state, reason, now)
        for event in events:
            self._metrics.age.observe(max(0.0, (now - event.received_at).total_seconds()))

    async def _postpone(self, events: list[Claimed], reason: str) -> None:
        async with self._database.write() as connection:
            for event in events:
                await service.postpone(connection, event, self._owner, backoff(event.tries + 1, cap=600), reason[:200])

    async def _measure(self) -> None:
        async with self._database.read() as connection:
            pending, oldest, parked = await service.backlog(connection)
        metrics = self._worker_metrics
        metrics.backlog.labels(self.name).set(pending)
        metrics.parked.labels(self.name).set(parked)
        metrics.age.labels(self.name).set(
            0 if oldest is None else max(0.0, (self._clock.now() - oldest).total_seconds())
        )
