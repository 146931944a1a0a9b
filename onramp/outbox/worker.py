"""The outbox worker: hand each stored change to its consumers, which write what they will send, and delete it, in one transaction.

So a change is planned exactly once, whatever crashes: either everything that follows from it is stored, or it still waits. Sending is the
job of other workers.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import is_unavailable, reason_of
from kit.logs import get_logger
from kit.outbox import service as outbox_service
from kit.outbox.service import Change
from kit.worker import WorkerContext

log = get_logger(__name__)
BATCH: Final = 200
IDLE_SECONDS: Final = 0.25
"""Seconds between two looks for changes. A message is on the wire within a second of the commit."""
GATHER_SECONDS: Final = 0.4
"""The same after a look that found some, but no full batch: more are likely to follow, and each transaction less is processor time for sales."""
BURST: Final = 30
"""How many changes in one look are a burst."""
BURST_SECONDS: Final = 1.5
"""The same during a burst."""
UNUSED_SECONDS: Final = 2.0
"""The same while nobody subscribes to anything."""


class Consumer(Protocol):
    """Somebody who plans what to send about changes."""

    name: str

    @property
    def topics(self) -> Collection[str]:
        """The topics that it plans; `plan` gets changes of no other."""

    async def plan(self, conn: AsyncConnection, changes: Sequence[Change]) -> None:
        """Write what is to be sent about these changes, in the caller's transaction. Changes come in order, unless two workers run."""


class OutboxWorker:
    """Takes changes in batches, and hands them to the consumers of their topics."""

    name = "outbox"

    def __init__(self, context: WorkerContext, consumers: Sequence[Consumer], planned: Callable[[], None]) -> None:
        """Work for `consumers`; `planned` is called after each commit and wakes the workers that send."""
        self._database = context.database
        self._clock = context.clock
        self._metrics = context.metrics
        self._consumers = tuple(consumers)
        self._planned = planned
        self._is_used = True
        self._planned_count = 0

    @property
    def interval(self) -> float:
        """Seconds to wait after a step that found nothing."""
        if self._planned_count:
            return BURST_SECONDS if self._planned_count >= BURST else GATHER_SECONDS
        return IDLE_SECONDS if self._is_used else UNUSED_SECONDS

    async def step(self) -> bool:
        """Plan up to BATCH changes. Return whether more may have waited. A change whose planning fails by itself is parked, and stops no other."""
        async with self._database.read() as conn:
            is_waiting = await outbox_service.any_waiting(conn)
            self._is_used = is_waiting or bool(await outbox_service.topics_of(conn))
            if not is_waiting:
                self._planned_count = 0
                await self._measure(conn)
                return False
        try:
            count = await self._plan(BATCH)
        except Exception as error:
            if is_unavailable(error):
                raise
            log.warning("outbox.batch_failed", reason=reason_of(error), detail="its changes are planned one by one")
            count = await self._plan_singly()
        self._planned_count = count
        if count:
            self._planned()
        return count >= BATCH

    async def _plan(self, limit: int) -> int:
        async with self._database.write() as conn:
            taken = await outbox_service.take(conn, limit)
            await self._hand_over(conn, taken)
        return len(taken)

    async def _hand_over(self, conn: AsyncConnection, taken: Sequence[Change]) -> None:
        for consumer in self._consumers:
            of_topics = [change for change in taken if change.topic in consumer.topics]
            if of_topics:
                await consumer.plan(conn, of_topics)

    async def _plan_singly(self) -> int:
        """Plan up to BATCH changes, each in a transaction of its own; park those that fail. Return how many were planned or parked."""
        for count in range(BATCH):
            change = None
            try:
                async with self._database.write() as conn:
                    taken = await outbox_service.take(conn, 1)
                    if not taken:
                        return count
                    change = taken[0]
                    await self._hand_over(conn, taken)
            except Exception as error:
                if change is None or is_unavailable(error):
                    raise
                log.exception("outbox.parked", topic=change.topic, subject=change.subject, change=change.id)
                async with self._database.write() as conn:
                    await outbox_service.park(conn, change.id, self._clock.now(), type(error).__name__)
        return BATCH

    async def _measure(self, conn: AsyncConnection) -> None:
        waiting, oldest, parked = await outbox_service.backlog(conn)
        self._metrics.backlog.labels(self.name).set(waiting)
        self._metrics.parked.labels(self.name).set(parked)
        age = 0.0 if oldest is None else (self._clock.now() - oldest).total_seconds()
        self._metrics.age.labels(self.name).set(max(0.0, age))
