"""Whether the workers run, judged by the heartbeats in the database, so that a process without workers knows it too."""

from collections.abc import Collection
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from kit.alarms.alarms import LocalAlarms
from kit.clock import Clock
from kit.db.database import Database
from kit.heartbeats.service import PRESENT_SECONDS, WorkerSeen, workers_seen
from kit.logs import get_logger
from kit.outbox import service as outbox_service
from kit.worker import STALLED_SECONDS
from onramp.ops.health import DegradedError, NotWellError

log = get_logger(__name__)
MISSING_SECONDS: Final = 120.0
"""Seconds that a worker may be missing before sales stop; a restart or a deployment takes less."""


class Liveness:
    """Tracks since when each worker has been missing, and raises an alarm when one goes missing."""

    def __init__(
        self,
        database: Database,
        expected: Collection[str],
        clock: Clock,
        registry: CollectorRegistry,
        alarms: LocalAlarms | None = None,
        *,
        telling: Collection[str] = (),
    ) -> None:
        """Prepare to watch the workers in `expected`, which some process must run. Without `alarms`, alarms are only logged.

        Those in `telling` only tell others what happened: they are expected while somebody subscribes to the outbox, and without them
        sales go on.
        """
        self._alarms = LocalAlarms() if alarms is None else alarms
        self._database = database
        self._expected = tuple(expected)
        self._telling = frozenset(telling)
        self._clock = clock
        self._last_seen = {worker: clock.monotonic() for worker in expected}
        """The time at which each worker was last known to run, on this process's monotonic clock; this process's start counts."""
        self._alarmed: set[str] = set()
        self._gauge = Gauge(
            "onramp_worker_missing",
            "1 while no process runs this worker, or its step has not ended for minutes everywhere.",
            ("worker",),
            registry=registry,
        )
        for worker in self._expected:
            self._gauge.labels(worker).set(0)

    async def check(self) -> str:
        """Check the workers, for /ready, and return a sentence. Raises DegradedError if a worker is missing, NotWellError once sales have to stop."""
        async with self._database.read() as conn:
            seen = await workers_seen(conn)
            is_told = bool(await outbox_service.topics_of(conn))
        now = self._clock.monotonic()
        stalled = {name for name in self._expected if name in seen and _is_stalled(seen[name])}
        for name in self._expected:
            worker = seen.get(name)
            if (worker is not None and worker.is_present) or (name in self._telling and not is_told):
                self._last_seen[name] = now
        missing = {name: now - at for name, at in self._last_seen.items() if now - at > PRESENT_SECONDS}
        self._report(stalled, missing, {name for name, worker in seen.items() if worker.is_present})
        needed = stalled | {name for name, seconds in missing.items() if seconds > MISSING_SECONDS}
        if needed - self._telling:
            text = "a worker has stopped: nothing is sold until it runs again"
            raise NotWellError(text, operator=f"{text}. {_names(stalled, missing)}")
        if missing or stalled:
            raise DegradedError(f"no process runs {', '.join(sorted(stalled | set(missing)))}: run `onramp work`")
        unseen = sorted(
            name
            for name in self._expected
            if (name not in seen or not seen[name].is_present) and (is_told or name not in self._telling)
        )
        return f"not seen yet: {', '.join(unseen)}" if unseen else "all run"

    def _report(self, stalled: Collection[str], missing: Collection[str], present: Collection[str]) -> None:
        for name in self._expected:
            unwell = name in stalled or name in missing
            self._gauge.labels(name).set(unwell)
            if unwell and name not in self._alarmed:
                self._alarmed.add(name)
                detail = "run `onramp work`, or restart it"
                self._alarms.raise_alarm("worker.missing", name, worker=name, stalled=name in stalled, detail=detail)
            elif not unwell and name in self._alarmed:
                self._alarmed.discard(name)
                log.info("worker.found_again", worker=name)
            if not unwell and name in present:
                # This process may not be the one that raised it.
                self._alarms.clear("worker.missing", name)


def _is_stalled(seen: WorkerSeen) -> bool:
    return seen.is_present and seen.busy_seconds > STALLED_SECONDS


def _names(stalled: Collection[str], missing: Collection[str]) -> str:
    lines = [f"{name}: its step has not ended for minutes" for name in sorted(stalled)]
    return "; ".join(lines + [f"{name}: no process runs it" for name in sorted(missing)])
