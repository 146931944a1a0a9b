"""The worker that sends outgoing webhooks: a lane for each endpoint with due deliveries, so that no receiver delays another."""

import asyncio
import random as _random
from collections.abc import Callable
from typing import Final

from kit.crypto.keyring import KeyRing
from kit.db.database import is_unavailable, reason_of
from kit.logs import get_logger
from kit.worker import WorkerContext
from onramp.hooks import queue
from onramp.hooks.attempts import Client
from onramp.hooks.lane import Lane, LaneParts
from onramp.hooks.metrics import HookMetrics
from onramp.hooks.queue import Now, database_now

log = get_logger(__name__)
IDLE_SECONDS: Final = 0.5
"""Seconds between two looks for due deliveries; a planned message wakes the worker of the same process at once."""
UNUSED_SECONDS: Final = 2.0
"""The same while there is no endpoint."""
MEASURE_SECONDS: Final = 15.0
STOP_SECONDS: Final = 2.0
"""Seconds that running attempts may take when the process stops. Those that are cut off are repeated with the same id."""


class WebhookWorker:
    """Leases the endpoints that have due deliveries, and runs a lane for each. A step only starts lanes, and never waits for a receiver."""

    name = "webhooks"

    def __init__(
        self,
        context: WorkerContext,
        client: Client,
        ring: KeyRing,
        metrics: HookMetrics,
        wake: Callable[[], None],
        *,
        now: Now = database_now,
        random: _random.Random | None = None,
    ) -> None:
        """Send with `client`. `wake` makes the next step come at once; `now` tells what is due, by default by the database's clock."""
        self._context = context
        self._ring = ring
        self._metrics = metrics
        self._wake = wake
        self._now = now
        self._parts = LaneParts(
            context.database, context.clock, client, ring, context.owner, metrics, now, random or _random.Random()
        )
        self._lanes: dict[str, tuple[Lane, asyncio.Task[None]]] = {}
        self._is_used = False
        self._measured_at: float | None = None

    @property
    def interval(self) -> float:
        """Seconds to wait after a step."""
        return IDLE_SECONDS if self._is_used or self._lanes else UNUSED_SECONDS

    async def step(self) -> bool:
        """Start a lane for each endpoint that has due deliveries and no lane in any process. Return False: lanes wake the worker."""
        database = self._context.database
        async with database.read() as conn:
            now = await self._now(conn)
            self._is_used = await queue.any_endpoint(conn)
            is_due = self._is_used and await queue.any_due(conn, now)
            if self._is_measuring_due():
                await self._metrics.measure(conn, self._context.metrics, self.name, now)
        if is_due:
            async with database.write() as conn:
                leased = await queue.lease(conn, self._context.owner, now)
            for endpoint_id in leased:
                self._start(endpoint_id)
        return False

    async def stop(self) -> None:
        """Let running attempts end for STOP_SECONDS, then cut them off, and give the endpoints back."""
        for lane, _ in self._lanes.values():
            lane.stop()
        tasks = [task for _, task in self._lanes.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=STOP_SECONDS)

    async def idle(self) -> None:
        """Wait until no lane runs."""
        while self._lanes:
            await asyncio.wait([task for _, task in self._lanes.values()])

    def _start(self, endpoint_id: str) -> None:
        if endpoint_id in self._lanes:
            # Its lease ran out while this process could not reach the database; that lane goes on under the new one.
            return
        lane = Lane(self._parts, endpoint_id)
        task = asyncio.create_task(lane.run(), name=f"webhook:{endpoint_id}")
        self._lanes[endpoint_id] = (lane, task)
        task.add_done_callback(lambda ended: self._ended(endpoint_id, ended))

    def _ended(self, endpoint_id: str, task: asyncio.Task[None]) -> None:
        del self._lanes[endpoint_id]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            detail = "its messages are sent again once its lease has ended"
            if is_unavailable(error):
                log.error("hooks.database_unavailable", endpoint=endpoint_id, reason=reason_of(error), detail=detail)
            else:
                log.error("hooks.lane_failed", endpoint=endpoint_id, exc_info=error, detail=detail)
        elif error is None:
            self._wake()

    def _is_measuring_due(self) -> bool:
        moment = self._context.clock.monotonic()
        if self._measured_at is not None and moment - self._measured_at < MEASURE_SECONDS:
            return False
        self._measured_at = moment
        return True
