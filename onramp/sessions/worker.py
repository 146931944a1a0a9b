"""The poller: what webhooks did not tell, Stripe is asked for. A webhook that never comes costs minutes, not money."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from kit.db.leases import claim
from kit.db.types import db_now
from kit.http.problems import Problem
from kit.logs import bound, get_logger
from kit.state import Moved
from kit.worker import WorkerContext
from onramp.sessions import service as sessions_service
from onramp.sessions import states
from onramp.sessions.create import Creator
from onramp.sessions.model import from_row
from onramp.sessions.payment_finder import PaymentFinder
from onramp.sessions.refresh import Refresher
from onramp.sessions.table import sessions
from onramp.sessions.unknown_purchases import UnknownPurchases
from onramp.stripe.errors import StripeNotFound
from onramp.stripe.port import StripeGateway, StripeSession

log = get_logger(__name__)
WALK_EVERY: Final = timedelta(minutes=1)
WALK_BACK: Final = timedelta(days=7)
DEEP_EVERY: Final = timedelta(hours=1)
DEEP_BACK: Final = timedelta(days=90)
ASK_EVERY: Final = timedelta(seconds=60)
ASK_PACE: Final = 0.2
"""Seconds between questions about single sessions: at most five a second of Stripe's 25."""
ASK_BATCH: Final = 25


class ReconcileWorker:
    """Finishes broken-off creates, walks what Stripe completed, asks about open sessions, expires unpaid ones."""

    name = "reconcile"
    interval = 5.0

    def __init__(
        self,
        context: WorkerContext,
        stripe: StripeGateway,
        creator: Creator,
        refresher: Refresher,
        paid: Callable[[], None],
        earlier: PaymentFinder,
        unknown: UnknownPurchases,
    ) -> None:
        """`paid` wakes whoever pays and delivers."""
        self._database = context.database
        self._stripe = stripe
        self._creator = creator
        self._refresher = refresher
        self._clock = context.clock
        self._owner = context.owner
        self._metrics = context.metrics
        self._paid = paid
        self._earlier = earlier
        self._unknown = unknown
        self._walked: datetime | None = None
        self._deep: datetime | None = None

    async def step(self) -> bool:
        """One round of all four; a Stripe that is unwell ends the round early and nothing is lost."""
        try:
            await self._finish_creates()
            await self._walk()
            again = await self._ask_open()
        except Problem as error:
            log.warning("reconcile.stripe_unwell", code=error.code)
            again = False
        if await self._earlier.step():
            self._paid()
        await self._expire()
        return again

    async def _finish_creates(self) -> None:
        async with self._database.write() as conn:
            due = sa.and_(
                sessions.c.payment_status == "created",
                sessions.c.stripe_session_id.is_(None),
                sessions.c.refusal_code.is_(None),
                sessions.c.created_at < db_now(-30),
                sa.or_(sessions.c.tries == 0, sessions.c.asked_at < db_now(-60)),
            )
            rows = await claim(
                conn, sessions, owner="create", seconds=30, limit=10, due=due, order_by=sessions.c.asked_at
            )
        for row in rows:
            with bound(session=row.id):
                try:
                    await self._creator.finish_broken_off(from_row(row))
                    log.info("reconcile.create_finished")
                except Problem as error:
                    log.warning("reconcile.create_not_finished", code=error.code)

    async def _walk(self) -> None:
        now = self._clock.now()
        if self._deep is None or now - self._deep >= DEEP_EVERY:
            unknown = await self._walk_back(now - DEEP_BACK)
            self._deep = self._walked = now
            await self._unknown.tell(unknown)
        elif self._walked is None or now - self._walked >= WALK_EVERY:
            await self._walk_back(now - WALK_BACK)
            self._walked = now

    async def _walk_back(self, since: datetime) -> list[StripeSession]:
        """Apply what Stripe completed since then; the sessions that were ignored."""
        after: str | None = None
        ignored: list[StripeSession] = []
        while True:
            page = await self._stripe.list_completed(created_gte=int(since.timestamp()), starting_after=after)
            async with self._database.read() as conn:
                known = await sessions_service.at_stripe(conn, [fact.id for fact in page.sessions])
            for fact in page.sessions:
                status = known.get(fact.id)
                if status == "fulfillment_complete":
                    continue
                if status is None and self._refresher.ignored.reason(fact.id) is not None:
                    # Without a row nothing has changed about whose it is, and a look costs a transaction.
                    ignored.append(fact)
                    continue
                applied = await self._refresher.apply_fact(fact)
                if applied is None:
                    ignored.append(fact)
                elif applied.changed:
                    self._paid()
            after = page.after
            if after is None:
                return ignored

    async def _ask_open(self) -> bool:
        now = self._clock.now()
        async with self._database.read() as conn:
            due = await sessions_service.least_recently_asked(conn, now - ASK_EVERY, ASK_BATCH)
        for session in due:
            async with self._database.write() as conn:
                await sessions_service.touch_asked(conn, [session.id], self._clock.now())
            if session.stripe_session_id is None:
                continue
            with bound(session=session.id):
                try:
                    applied = await self._refresher.refresh(session.stripe_session_id)
                except StripeNotFound:
                    log.error("reconcile.session_unknown_at_stripe", stripe_session=session.stripe_session_id)
                    continue
            if applied is not None and applied.changed:
                self._paid()
            await self._clock.sleep(ASK_PACE)
        self._metrics.backlog.labels(self.name).set(len(due))
        return len(due) == ASK_BATCH

    async def _expire(self) -> None:
        now = self._clock.now()
        async with self._database.write() as conn:
            for session in await sessions_service.lapsed(conn, now, 100):
                if isinstance(states.expire(session.payment_status), Moved) and await sessions_service.change(
                    conn, session, now=now, payment_status="expired", payment_updated_at=now
                ):
                    log.info("session.expired", session=session.id, stripe_session=session.stripe_session_id)
