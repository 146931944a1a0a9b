"""The deliveries to one endpoint: at most CONCURRENCY at a time, whatever its receiver does."""

import asyncio
import random as _random
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database, is_unavailable
from kit.logs import get_logger
from onramp.hooks import queue
from onramp.hooks.attempts import Attempt, Client, Outcome, attempt
from onramp.hooks.metrics import HookMetrics
from onramp.hooks.queue import LEASE_SECONDS, Job, Now, Work

log = get_logger(__name__)
CONCURRENCY: Final = 4
"""How many requests to one endpoint are in flight at a time, over all processes."""
BATCH: Final = 256
"""How many deliveries are taken in one transaction. Results are stored after RECORD_SECONDS all the same, so that a crash repeats few."""
RECORD_SECONDS: Final = 0.25
"""How long results may wait for others, to be stored in the same transaction."""
RENEW_SECONDS: Final = LEASE_SECONDS / 4
DATABASE_TRIES: Final = 10
"""How often a transaction is tried, a second apart, while the database is unavailable."""


@dataclass(frozen=True, slots=True)
class LaneParts:
    """The parts that all lanes of a process share."""

    database: Database
    clock: Clock
    client: Client
    ring: KeyRing
    owner: str
    metrics: HookMetrics
    now: Now
    random: _random.Random


@dataclass(eq=False)
class Lane:
    """Sends what is due to one endpoint, whose lease this process has, until nothing is due."""

    parts: LaneParts
    endpoint_id: str
    _work: Work | None = None
    _waiting: deque[Job] = field(default_factory=deque)
    _running: dict[asyncio.Task[Attempt], Job] = field(default_factory=dict)
    _ended: list[tuple[Job, Attempt]] = field(default_factory=list)
    _is_stopping: bool = False
    _is_more_due: bool = True
    """Whether the newest look may have left deliveries out."""
    _is_returned: bool = False
    _exchanged_at: float = 0.0

    def stop(self) -> None:
        """Start no more attempts; `run` returns once those that run have ended."""
        self._is_stopping = True
        self._waiting.clear()

    async def run(self) -> None:
        """Send until nothing is due, then give the endpoint back. If the task is cancelled, attempts are cut off, and the rest is stored."""
        try:
            await self._exchange()
            while self._waiting or self._running:
                self._start_attempts()
                await self._wait()
                if self._is_exchange_due():
                    await self._exchange()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            await self._finish()

    def _start_attempts(self) -> None:
        while self._waiting and len(self._running) < CONCURRENCY and self._work is not None:
            job = self._waiting.popleft()
            parts, work = self.parts, self._work
            sending = attempt(parts.client, parts.clock, work.url, job.message_id, job.body, work.secrets)
            self._running[asyncio.create_task(sending)] = job

    async def _wait(self) -> None:
        """Wait until an attempt has ended, or results must be stored, or the lease must be renewed."""
        seconds = RECORD_SECONDS if self._ended else RENEW_SECONDS
        done, _ = await asyncio.wait(self._running, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            job, ended = self._running.pop(task), task.result()
            self.parts.metrics.attempts.labels(ended.outcome).inc()
            self._ended.append((job, ended))
            if ended.outcome is not Outcome.DELIVERED:
                log.debug(
                    "hooks.attempt_failed", endpoint=self.endpoint_id, message=job.message_id, tries=job.tries + 1,
                    outcome=ended.outcome, reason=ended.reason,
                )  # fmt: skip
            if ended.outcome is Outcome.GONE:
                self._waiting.clear()

    def _is_exchange_due(self) -> bool:
        if not self._waiting and (self._is_more_due or not self._running):
            return True
        return time.monotonic() - self._exchanged_at >= (RECORD_SECONDS if self._ended else RENEW_SECONDS)

    async def _exchange(self) -> None:
        """In one transaction, store the results and take more deliveries; without any, give the endpoint back.

        What this process may not send any more is dropped.
        """
        is_room = not self._waiting and not self._is_stopping and len(self._running) < CONCURRENCY
        limit = BATCH if is_room else 0
        parts = self.parts
        for tries in range(DATABASE_TRIES):
            try:
                async with parts.database.write() as conn:
                    now = await parts.now(conn)
                    await queue.record(conn, parts.ring, self.endpoint_id, self._ended, now=now, random=parts.random)
                    running = {job.id for job in self._running.values()}
                    work = await queue.take(
                        conn, parts.ring, self.endpoint_id, parts.owner, now=now, limit=limit, running=running
                    )
                    is_over = not running and not self._waiting and (work is None or not work.jobs)
                    if is_over:
                        await queue.give_back(conn, self.endpoint_id, parts.owner)
                break
            except Exception as error:
                if not is_unavailable(error) or tries == DATABASE_TRIES - 1:
                    raise
                await asyncio.sleep(1.0)
        self._ended, self._work, self._exchanged_at, self._is_returned = [], work, time.monotonic(), is_over
        self._is_more_due = work is not None and limit > 0 and len(work.jobs) == limit
        if work is None:
            self._waiting.clear()
        else:
            self._waiting.extend(work.jobs)

    async def _finish(self) -> None:
        if self._is_returned:
            return
        parts = self.parts
        async with parts.database.write() as conn:
            now = await parts.now(conn)
            await queue.record(conn, parts.ring, self.endpoint_id, self._ended, now=now, random=parts.random)
            await queue.give_back(conn, self.endpoint_id, parts.owner)
