"""The janitor: update the counts in the metrics, and delete data whose retention has ended.

Tasks are independent: one that fails, or takes longer than the database allows a statement, does not stop the others. Rows are deleted
in small transactions, so that no other statement waits long for a row. A large backlog (after an import, or if no janitor ran for weeks)
is worked off over many rounds.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.alarms import service as alarms_service
from kit.db import ended_counts
from kit.db.database import reason_of
from kit.logs import get_logger
from kit.worker import WorkerContext
from onramp.auth.api_keys import alarms
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.console_sessions import service as console_sessions_service
from onramp.auth.oidc import flow as oidc_flow
from onramp.auth.passkeys import challenges as passkey_challenges
from onramp.auth.wallets import service as wallets_service
from onramp.hooks import messages as hook_messages
from onramp.live_changes import service as live_changes_service
from onramp.notices import service as notices_service
from onramp.ops import pruning, state_counts
from onramp.ops.state_counts import StateMetrics
from onramp.privacy import service as privacy_service
from onramp.screening.sanctions_list import Screening
from onramp.sessions import service as sessions_service
from onramp.sessions.config import CLIENT_KEY_LIFETIME
from onramp.webhooks import service as webhooks_service
from treasury.ledger import totals
from treasury.payouts.screening import release_delisted
from treasury.settlements.verification import SettlementMonitor

__all__ = ["Janitor", "StateMetrics"]

log = get_logger(__name__)
KEEP_EVENTS: Final = timedelta(days=90)
KEEP_NOTICES: Final = timedelta(days=90)
"""How long ended alarms, and notifications that were sent or given up, are kept."""
KEEP_MESSAGES: Final = timedelta(days=30)
"""How long outgoing webhooks and their delivery log are kept."""
WATCH_EVERY: Final = timedelta(minutes=10)
CLEAN_EVERY: Final = timedelta(hours=1)
BATCH: Final = 500
"""How many rows are deleted in one transaction: it takes a few milliseconds, during which other writers on SQLite wait."""
MAX_BATCHES: Final = 40
"""The most batches of one task per round: they take a few tenths of a second; the next round continues."""


class Batch(Protocol):
    """A function that deletes expired rows."""

    async def __call__(self, conn: AsyncConnection, /, *, limit: int) -> int:
        """Delete at most `limit` rows in the caller's transaction. Return how many were deleted."""


class Janitor:
    """The worker that counts rows for the metrics and deletes expired ones."""

    name = "janitor"
    interval = 15.0

    def __init__(
        self,
        context: WorkerContext,
        metrics: StateMetrics,
        screening: Screening,
        keep_contacts: timedelta,
        keep_unpaid: timedelta = timedelta(days=30),
        watch: SettlementMonitor | None = None,
    ) -> None:
        """Work with `screening`, the one that the sender uses, too.

        `keep_contacts` is how long contacts are kept, `keep_unpaid` how long unpaid sessions are kept after they ended. `watch` verifies settled
        USDC again; None: nothing is verified.
        """
        self._watch = watch
        self._keep_contacts = keep_contacts
        self._keep_unpaid = keep_unpaid
        self._screening = screening
        self._database = context.database
        self._clock = context.clock
        self._metrics = metrics
        self._workers = context.metrics
        self._key_alarms = alarms.KeyAlarms(context.database, context.clock, metrics.key_alarms)
        self._done_at: dict[str, datetime] = {}
        """The time at which each task that does not run in every round was last completed."""

    async def step(self) -> bool:
        """Run one round: count, and clean once an hour. Raises ExceptionGroup after all tasks if any of them failed."""
        failed: list[Exception] = []
        for task, work in self._tasks().items():
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - the other tasks do not depend on it
                log.error("janitor.task_failed", task=task, reason=reason_of(error))
                failed.append(error)
        if failed:
            raise ExceptionGroup("some janitor tasks failed; they are tried again in the next round", failed)
        return False

    def _tasks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        now = self._clock.now()
        tasks: dict[str, Callable[[], Awaitable[None]]] = {
            "count": self._count,
            "key_alarms": self._key_alarms.step,
            "unlist": self._unlist,
            "fold_counts": self._fold_counts,
            "fold_totals": self._fold_totals,
            # In every round, because anybody can begin logins without limit.
            "oidc_logins": partial(self._clean, "oidc_logins", partial(oidc_flow.prune, now=now)),
            "nonces": partial(self._clean, "nonces", partial(wallets_service.forget_expired, now=now)),
        }
        hourly: dict[str, Callable[[], Awaitable[None]]] = {
            "client_keys": partial(
                self._clean,
                "client_keys",
                partial(sessions_service.forget_client_keys, before=now - CLIENT_KEY_LIFETIME),
            ),
            "events": partial(self._clean, "events", partial(webhooks_service.prune, before=now - KEEP_EVENTS)),
            "key_secrets": self._forget_secrets,
            "contacts": partial(
                self._clean,
                "contacts",
                partial(privacy_service.prune, before=now - self._keep_contacts, by=self.name, now=now),
            ),
            "notices": partial(self._clean, "notices", partial(notices_service.prune, before=now - KEEP_NOTICES)),
            "alarms": partial(self._clean, "alarms", partial(alarms_service.prune, before=now - KEEP_NOTICES)),
            "webhooks": partial(self._clean, "webhooks", partial(hook_messages.prune, before=now - KEEP_MESSAGES)),
            "live_changes": partial(
                self._clean,
                "live_changes",
                partial(live_changes_service.prune, before=now - live_changes_service.KEPT),
            ),
            "console_sessions": partial(
                self._clean, "console_sessions", partial(console_sessions_service.prune, now=now)
            ),
            "passkey_challenges": partial(
                self._clean,
                "passkey_challenges",
                partial(passkey_challenges.prune, before=now - passkey_challenges.KEEP),
            ),
            "unpaid_sessions": self._forget_unpaid,
        }
        tasks |= {task: work for task, work in hourly.items() if self._is_due(task, CLEAN_EVERY)}
        if self._watch is not None and self._is_due("usdc", WATCH_EVERY):
            tasks["usdc"] = self._look_at_usdc
        return tasks

    def _is_due(self, task: str, every: timedelta) -> bool:
        last = self._done_at.get(task)
        return last is None or self._clock.now() - last >= every

    async def _count(self) -> None:
        await state_counts.refresh(self._database, self._metrics, self._workers, self._clock)

    async def _fold_counts(self) -> None:
        async with self._database.read() as conn:
            waiting = await ended_counts.changes(conn)
        if waiting >= ended_counts.FOLD_FROM:
            async with self._database.write() as conn:
                await ended_counts.fold(conn)

    async def _fold_totals(self) -> None:
        before = None
        for _ in range(MAX_BATCHES):
            async with self._database.read() as conn:
                waiting = await totals.changes(conn)
            # What is partly settled stays as it is, however much of it there is.
            if waiting < totals.FOLD_FROM or waiting == before:
                return
            before = waiting
            async with self._database.write() as conn:
                await totals.fold(conn)

    async def _clean(self, task: str, batch: Batch) -> None:
        """Delete rows in small transactions until none is left or MAX_BATCHES is reached. A task is repeated after an hour, sooner if rows are left."""
        count = 0
        for _ in range(MAX_BATCHES):
            async with self._database.write() as conn:
                deleted = await batch(conn, limit=BATCH)
            count += deleted
            if deleted < BATCH:
                self._done_at[task] = self._clock.now()
                break
        self._log(task, count)

    async def _forget_secrets(self) -> None:
        now = self._clock.now()
        async with self._database.write() as conn:
            count = await api_keys_service.prune(conn, now)
        self._done_at["key_secrets"] = now
        self._log("key_secrets", count)

    async def _forget_unpaid(self) -> None:
        now = self._clock.now()
        count = await pruning.prune(self._database, now - self._keep_unpaid, by=self.name, now=now)
        self._done_at["unpaid_sessions"] = now
        self._log("unpaid_sessions", count)

    def _log(self, task: str, count: int) -> None:
        if count:
            log.info("janitor.cleaned", task=task, rows=count)

    async def _look_at_usdc(self) -> None:
        assert self._watch is not None
        await self._watch.step()
        self._done_at["usdc"] = self._clock.now()

    async def _unlist(self) -> None:
        released = await release_delisted(self._database, self._screening, self._clock.now())
        if released:
            log.warning("screening.payouts_released", payouts=released)
