"""The inbox worker: fetch each session that events name from Stripe once, and apply what Stripe reports."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from kit.backoff import backoff
from kit.db.database import DATABASE_ERRORS
from kit.db.failures import log_failure
from kit.http.problems import Problem
from kit.logs import bound, get_logger
from kit.worker import WorkerContext
from onramp.sessions import service as sessions_service
from onramp.sessions.refresh import Refresher
from onramp.stripe.errors import StripeNotFound
from onramp.webhooks import service as webhooks_service
from onramp.webhooks.intake import WebhookMetrics
from onramp.webhooks.service import Claimed
from onramp.webhooks.table import EventState

log = get_logger(__name__)
BATCH: Final = 64
MAX_CONCURRENT: Final = 8


class InboxWorker:
    """Leases due events, and handles all events of one session with one request to Stripe."""

    name = "inbox"
    interval = 1.0

    def __init__(
        self,
        context: WorkerContext,
        refresher: Refresher,
        metrics: WebhookMetrics,
        paid: Callable[[], None],
    ) -> None:
        """Work with these parts; `paid` wakes the treasury and deliveries workers after a session changed."""
        self._database = context.database
        self._refresher = refresher
        self._clock = context.clock
        self._owner = context.owner
        self._metrics = metrics
        self._worker_metrics = context.metrics
        self._paid = paid

    async def step(self) -> bool:
        """Lease and handle up to BATCH due events. Return whether more may be due."""
        async with self._database.write() as conn:
            claimed = await webhooks_service.claim_due(conn, self._owner, BATCH)
        if not claimed:
            await self._measure()
            return False
        by_session: dict[str, list[Claimed]] = defaultdict(list)
        for event in claimed:
            by_session[event.stripe_session_id].append(event)
        semaphore = asyncio.Semaphore(MAX_CONCURRENT)

        async def handle(stripe_id: str, events: list[Claimed]) -> None:
            async with semaphore:
                await self._handle(stripe_id, events)

        await asyncio.gather(*(handle(stripe_id, events) for stripe_id, events in by_session.items()))
        return True

    async def _handle(self, stripe_id: str, events: list[Claimed]) -> None:
        # Each session is handled in a task of its own, so every log line from here on carries its events.
        with bound(stripe_session=stripe_id, events=[event.id for event in events]):
            await self._apply(stripe_id, events)

    async def _apply(self, stripe_id: str, events: list[Claimed]) -> None:
        try:
            applied = await self._refresher.refresh(stripe_id)
        except StripeNotFound:
            await self._ignore(stripe_id, events, "Stripe knows no such session")
            return
        except Problem as error:
            await self._postpone(stripe_id, events, error.code)
            return
        except Exception as error:  # noqa: BLE001 - one event must not stop the others
            log_failure(log, "inbox.failed", error, session=await self._session_of(stripe_id))
            await self._postpone(stripe_id, events, type(error).__name__)
            return
        if applied is None:
            await self._ignore(stripe_id, events, "a session that is not ours")
            return
        await self._finish(events, EventState.HANDLED, None)
        if applied.changed:
            self._paid()

    async def _session_of(self, stripe_id: str) -> str | None:
        """Return our session's id for a log line; None if no session has this Stripe id, or the database is unavailable."""
        try:
            async with self._database.read() as conn:
                session = await sessions_service.by_stripe_id(conn, stripe_id)
        except DATABASE_ERRORS:
            return None
        return None if session is None else session.id

    async def _ignore(self, stripe_id: str, events: list[Claimed], reason: str) -> None:
        await self._finish(events, EventState.IGNORED, reason)
        if (session := await self._session_of(stripe_id)) is not None:
            log.warning("inbox.ignored", session=session, reason=reason)

    async def _finish(self, events: list[Claimed], state: EventState, reason: str | None) -> None:
        now = self._clock.now()
        async with self._database.write() as conn:
            await webhooks_service.finish(conn, [event.id for event in events], self._owner, state, reason, now)
        for event in events:
            self._metrics.age.observe(max(0.0, (now - event.received_at).total_seconds()))

    async def _postpone(self, stripe_id: str, events: list[Claimed], reason: str) -> None:
        log.info("inbox.postponed", session=await self._session_of(stripe_id), reason=reason)
        async with self._database.write() as conn:
            for event in events:
                await webhooks_service.postpone(
                    conn, event, self._owner, backoff(event.tries + 1, cap=600), reason[:200]
                )

    async def _measure(self) -> None:
        async with self._database.read() as conn:
            pending, oldest, parked = await webhooks_service.backlog(conn)
        metrics = self._worker_metrics
        metrics.backlog.labels(self.name).set(pending)
        metrics.parked.labels(self.name).set(parked)
        metrics.age.labels(self.name).set(
            0 if oldest is None else max(0.0, (self._clock.now() - oldest).total_seconds())
        )
