"""Workers: loops that do what is due, and stop between two steps.

A worker keeps no state of its own: the rows in the database are the jobs. It may die anywhere, and another one, in this or another
process, continues from the rows.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from kit.alarms.alarms import LocalAlarms
from kit.backoff import backoff
from kit.clock import Clock
from kit.db.database import Database, is_unavailable, reason_of
from kit.logs import get_logger

log = get_logger(__name__)


STALLED_SECONDS: Final = 180.0
"""Seconds after which a step counts as stuck: each wait inside a step has a limit of seconds."""
WATCH_SECONDS: Final = 5.0
"""Seconds between two checks for stalled workers."""
CANCEL_SECONDS: Final = 1.0
"""Seconds that `stop` waits for cancelled workers."""
GRACE_SECONDS: Final = 4.0
"""Seconds that `stop` waits for running steps. `docker stop` and others kill after 10 s."""


class Worker(Protocol):
    """A background loop: `step` is repeated, after a pause of `interval` whenever nothing was due."""

    name: str

    @property
    def interval(self) -> float:
        """Seconds to wait after a step that found nothing due; `WorkerRunner.wake` ends the wait early."""

    async def step(self) -> bool:
        """Do the work that is due, once. Return whether more may be due already."""


@runtime_checkable
class Releasing(Protocol):
    """A worker that holds something for which other processes wait, such as a lease."""

    async def stop(self) -> None:
        """Release what the worker holds. Called once, after the last step has ended by itself."""


class WorkerMetrics:
    """The metrics that every worker has, labelled by its name."""

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        """Register the metrics; their names begin with `prefix`, such as `onramp`."""
        labels = ("worker",)
        self.steps = Counter(f"{prefix}_worker_steps_total", "Steps taken.", (*labels, "outcome"), registry=registry)
        self.last = Gauge(
            f"{prefix}_worker_last_success_timestamp_seconds", "When a step last ended well.", labels, registry=registry
        )
        self.backlog = Gauge(f"{prefix}_worker_backlog", "Rows that are due.", labels, registry=registry)
        self.age = Gauge(
            f"{prefix}_worker_backlog_age_seconds", "Age of the oldest due row.", labels, registry=registry
        )
        self.stalled = Gauge(
            f"{prefix}_worker_stalled",
            "1 while a step of this worker has not ended for minutes.",
            labels,
            registry=registry,
        )
        self.parked = Gauge(f"{prefix}_worker_parked", "Rows given up after too many tries.", labels, registry=registry)


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The parts that all workers of a process share."""

    database: Database
    clock: Clock
    metrics: WorkerMetrics
    owner: str
    """The name of this process in leases; no other process that shares the database has it."""


class WorkerRunner:
    """Runs workers concurrently until `stop`. A worker whose step fails is tried again, after a longer wait each time."""

    def __init__(
        self, workers: Iterable[Worker], clock: Clock, metrics: WorkerMetrics, alarms: LocalAlarms | None = None
    ) -> None:
        """Prepare to run the workers; without `alarms`, alarms are only logged."""
        self._alarms = LocalAlarms() if alarms is None else alarms
        self._workers = list(workers)
        self._clock = clock
        self._metrics = metrics
        self._wakes = {worker.name: asyncio.Event() for worker in self._workers}
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        for worker in self._workers:
            # Set from the start: a worker that never had anything to do has no backlog.
            metrics.backlog.labels(worker.name).set(0)
            metrics.age.labels(worker.name).set(0)
            metrics.stalled.labels(worker.name).set(0)
            metrics.parked.labels(worker.name).set(0)
            for outcome in ("ok", "error"):
                metrics.steps.labels(worker.name, outcome)
        self.last_success: dict[str, float] = {}
        self._since: dict[str, float | None] = dict.fromkeys(self._wakes)
        self._stalled: set[str] = set()
        self._watchdog: asyncio.Task[None] | None = None

    def busy(self) -> dict[str, float]:
        """Return for each worker, by name, the seconds that its running step has lasted; 0 while it waits."""
        now = self._clock.monotonic()
        return {name: 0.0 if since is None else now - since for name, since in self._since.items()}

    def start(self) -> None:
        """Start one task for each worker."""
        self._tasks = [
            asyncio.create_task(self._loop(worker), name=f"worker:{worker.name}") for worker in self._workers
        ]
        self._watchdog = asyncio.create_task(self._watch(), name="watchdog")

    def wake(self, name: str) -> None:
        """End the wait of one worker early. A worker that does not run in this process is ignored."""
        event = self._wakes.get(name)
        if event is not None:
            event.set()

    async def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Let each worker finish its running step and release what it holds; cancel those that still run after `grace` seconds.

        A cancelled worker releases nothing, since its step may have left something unfinished; its leases expire by themselves.
        """
        self._stopping.set()
        for event in self._wakes.values():
            event.set()
        if self._watchdog is not None:
            self._watchdog.cancel()
        if not self._tasks:
            return
        _, pending = await asyncio.wait(self._tasks, timeout=grace)
        for task in pending:
            task.cancel()
        if pending:
            # The waits of a cancelled task's clean-up have limits of their own; they must not delay the end of the process.
            _, remaining = await asyncio.wait(pending, timeout=CANCEL_SECONDS)
            if remaining:
                log.error("worker.not_ended", workers=sorted(task.get_name() for task in remaining))

    def watch(self) -> None:
        """Raise an alarm, once, for each worker whose step has lasted longer than STALLED_SECONDS."""
        for name, seconds in self.busy().items():
            stalled = seconds > STALLED_SECONDS
            self._metrics.stalled.labels(name).set(stalled)
            if stalled and name not in self._stalled:
                self._stalled.add(name)
                detail = "restart this process; sales stop meanwhile"
                self._alarms.raise_alarm("worker.stalled", name, worker=name, seconds=int(seconds), detail=detail)
            elif not stalled and name in self._stalled:
                self._stalled.discard(name)
                self._alarms.clear("worker.stalled", name)
                log.info("worker.recovered", worker=name)

    async def _watch(self) -> None:
        while True:
            self.watch()
            await asyncio.sleep(WATCH_SECONDS)

    async def _loop(self, worker: Worker) -> None:
        failures = 0
        structlog.contextvars.bind_contextvars(worker=worker.name)
        while not self._stopping.is_set():
            try:
                again = await self._step(worker)
            except Exception as error:
                failures += 1
                self._metrics.steps.labels(worker.name, "error").inc()
                if is_unavailable(error):
                    log.error("worker.database_unavailable", failures=failures, reason=reason_of(error))
                else:
                    log.exception("worker.step_failed", failures=failures)
                await self._rest(worker, backoff(failures, base=0.5, cap=30.0))
                continue
            failures = 0
            self.last_success[worker.name] = self._clock.monotonic()
            self._metrics.steps.labels(worker.name, "ok").inc()
            self._metrics.last.labels(worker.name).set(self._clock.now().timestamp())
            if not again:
                await self._rest(worker, worker.interval)
        await self._release(worker)

    async def _release(self, worker: Worker) -> None:
        if not isinstance(worker, Releasing):
            return
        try:
            await worker.stop()
        except Exception:
            log.exception("worker.stop_failed", detail="what it holds expires by itself")

    async def _step(self, worker: Worker) -> bool:
        self._since[worker.name] = self._clock.monotonic()
        try:
            return await worker.step()
        finally:
            self._since[worker.name] = None

    async def _rest(self, worker: Worker, seconds: float) -> None:
        event = self._wakes[worker.name]
        if self._stopping.is_set():
            return
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in (sleeping, waking):
                waiter.cancel()
            await asyncio.gather(sleeping, waking, return_exceptions=True)
        event.clear()
