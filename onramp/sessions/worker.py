"""The reconcile worker: ask Stripe about what webhooks did not report. A webhook that never arrives delays a purchase by minutes."""

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
from onramp.sessions.purchase_intents import LEASE_OWNER
from onramp.sessions.refresh import Refresher
from onramp.sessions.status import PaymentStatus
from onramp.sessions.table import sessions
from onramp.sessions.unknown_purchases import UnknownPurchases
from onramp.stripe.errors import StripeNotFound
from onramp.stripe.port import StripeGateway, StripeSession

log = get_logger(__name__)
LIST_EVERY: Final = timedelta(minutes=1)
LIST_BACK: Final = timedelta(days=7)
LONG_LIST_EVERY: Final = timedelta(hours=1)
LONG_LIST_BACK: Final = timedelta(days=90)
ASK_EVERY: Final = timedelta(seconds=60)
ASK_PAUSE_SECONDS: Final = 0.2
"""Seconds between questions about single sessions: at most five a second of the 25 that Stripe takes."""
ASK_BATCH: Final = 25
EXPIRE_BATCH: Final = 100


class ReconcileWorker:
    """Finishes interrupted creates, lists what Stripe completed, asks about open sessions, expires unpaid ones."""

    name = "reconcile"
    interval = 5.0

    def __init__(
        self,
        context: WorkerContext,
        stripe: StripeGateway,
        creator: Creator,
        refresher: Refresher,
        paid: Callable[[], None],
        payment_finder: PaymentFinder,
        unknown_purchases: UnknownPurchases,
    ) -> None:
        """Work with these parts; `paid` wakes the workers that pay and deliver."""
        self._database = context.database
        self._stripe = stripe
        self._creator = creator
        self._refresher = refresher
        self._clock = context.clock
        self._metrics = context.metrics
        self._paid = paid
        self._payment_finder = payment_finder
        self._unknown_purchases = unknown_purchases
        self._listed_at: datetime | None = None
        self._long_listed_at: datetime | None = None

    async def step(self) -> bool:
        """Do one round of all its tasks; an error of Stripe ends its part of the round, and the next round retries it."""
        try:
            await self._finish_creates()
            await self._list_completed()
            has_more = await self._ask_about_open()
        except Problem as error:
            log.warning("reconcile.stripe_unwell", code=error.code)
            has_more = False
        if await self._payment_finder.step():
            self._paid()
        await self._expire()
        return has_more

    async def _finish_creates(self) -> None:
        async with self._database.write() as conn:
            due = sa.and_(
                sessions.c.payment_status == PaymentStatus.CREATED,
                sessions.c.stripe_session_id.is_(None),
                sessions.c.refusal_code.is_(None),
                sessions.c.created_at < db_now(-30),
                sa.or_(sessions.c.tries == 0, sessions.c.asked_at < db_now(-60)),
            )
            rows = await claim(
                conn, sessions, owner=LEASE_OWNER, seconds=30, limit=10, due=due, order_by=sessions.c.asked_at
            )
        for row in rows:
            with bound(session=row.id):
                try:
                    await self._creator.finish_interrupted(from_row(row))
                    log.info("reconcile.create_finished")
                except Problem as error:
                    log.warning("reconcile.create_not_finished", code=error.code)

    async def _list_completed(self) -> None:
        now = self._clock.now()
        if self._long_listed_at is None or now - self._long_listed_at >= LONG_LIST_EVERY:
            ignored = await self._apply_completed_since(now - LONG_LIST_BACK)
            self._long_listed_at = self._listed_at = now
            await self._unknown_purchases.report(ignored)
        elif self._listed_at is None or now - self._listed_at >= LIST_EVERY:
            await self._apply_completed_since(now - LIST_BACK)
            self._listed_at = now

    async def _apply_completed_since(self, since: datetime) -> list[StripeSession]:
        """Apply the sessions that Stripe completed and that were created since; return those that were ignored."""
        after: str | None = None
        ignored: list[StripeSession] = []
        while True:
            page = await self._stripe.list_completed(created_gte=int(since.timestamp()), starting_after=after)
            async with self._database.read() as conn:
                statuses = await sessions_service.payment_statuses(conn, [fact.id for fact in page.sessions])
            for fact in page.sessions:
                status = statuses.get(fact.id)
                if status is PaymentStatus.FULFILLMENT_COMPLETE:
                    continue
                if status is None and self._refresher.ignored.reason(fact.id) is not None:
                    # Still without a row, so its owner is still another; checking again would cost a transaction.
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

    async def _ask_about_open(self) -> bool:
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
            await self._clock.sleep(ASK_PAUSE_SECONDS)
        self._metrics.backlog.labels(self.name).set(len(due))
        return len(due) == ASK_BATCH

    async def _expire(self) -> None:
        now = self._clock.now()
        async with self._database.write() as conn:
            for session in await sessions_service.lapsed(conn, now, EXPIRE_BATCH):
                outcome = states.expire(session.payment_status)
                if isinstance(outcome, Moved) and await sessions_service.change(
                    conn, session, now=now, payment_status=outcome.to, payment_updated_at=now
                ):
                    log.info("session.expired", session=session.id, stripe_session=session.stripe_session_id)
