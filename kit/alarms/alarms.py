"""Raise and clear alarms from any code, synchronous or not, also while the database is away.

A change that has a transaction of its own raises its alarm in it (`kit.alarms.service.raise_in`), so that a crash cannot lose one of them.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.alarms import service as alarms_service
from kit.alarms.model import Definition, Ends, Key
from kit.clock import Clock
from kit.db.database import Database, reason_of
from kit.logs import get_logger

log = get_logger(__name__)
REFRESH_SECONDS: Final = 5.0
"""Seconds between two reads of the active alarms; what is raised or cleared is written at once."""
RETRY_SECONDS: Final = 1.0
"""Seconds until a write that failed is tried again."""
STOP_SECONDS: Final = 1.0
CLEARED_SECONDS: Final = 3 * REFRESH_SECONDS
"""Seconds for which a `clear` is remembered: another process may have raised the alarm since the last read."""


class LocalAlarms:
    """Logs each alarm once, when it is raised, until it is cleared. Nothing is stored: for commands, and parts on their own."""

    def __init__(self) -> None:
        self._raised: set[Key] = set()

    def raise_alarm(self, name: str, subject: str, /, **facts: Any) -> bool:
        """Raise an alarm about `subject`, unless this process has raised it already. Return whether it is new here."""
        key = self._key(name, subject)
        if key in self._raised:
            return False
        self._raised.add(key)
        log.critical(name, **({"subject": key[1]} | facts))
        return True

    async def raise_in(self, conn: AsyncConnection, name: str, subject: str, at: datetime, /, **facts: Any) -> bool:
        """Raise an alarm in the caller's transaction, as `kit.alarms.service.raise_in` does. Return whether it is new."""
        is_new = await alarms_service.raise_in(conn, name, subject, at, **facts)
        self._raised.add((name, subject))
        return is_new

    def clear(self, name: str, subject: str, /) -> None:
        """End an alarm about `subject`, whichever process raised it, if it is active; it is raised again if it comes back."""
        self._raised.discard(self._key(name, subject))

    def _key(self, name: str, subject: str) -> Key:
        return name, subject


@dataclass(frozen=True, slots=True)
class _Pending:
    """What is still to be written about one alarm."""

    raised: tuple[datetime, Mapping[str, Any]] | None = None
    """When it was raised and its facts; None if that is written, or was not by this process."""
    cleared: datetime | None = None


class Alarms(LocalAlarms):
    """The alarms of a service, as one process sees them: raised and cleared here, stored as soon as the database accepts it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        catalog: Mapping[str, Definition],
        *,
        process: str,
        registry: CollectorRegistry,
        prefix: str,
    ) -> None:
        """Prepare the alarms of `catalog`; nothing is written before `start`.

        `process` is the name of this process in heartbeats; the metric's name begins with `prefix`.
        """
        super().__init__()
        self._database = database
        self._clock = clock
        self._catalog = catalog
        self._process = process
        self._active: Mapping[Key, datetime] = {}
        self._pending: dict[Key, _Pending] = {}
        self._written: set[Key] = set()
        """Alarms that this process raised and that were stored, until they have ended."""
        self._cleared: dict[Key, tuple[datetime, float]] = {}
        """When alarms were cleared that were not known to be active: the time, and the monotonic time."""
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self.stored: Callable[[], None] = lambda: None
        """A function that is called after alarms were stored or ended; it wakes the worker that sends notifications."""
        self._gauge = Gauge(
            f"{prefix}_alarm_active",
            "Active alarms by name, as every process reads them from the database: aggregate with max.",
            ("alarm",),
            registry=registry,
        )
        for name in catalog:
            self._gauge.labels(name).set(0)

    def raise_alarm(self, name: str, subject: str, /, **facts: Any) -> bool:
        """Raise an alarm about `subject`, unless this process has raised it already. Return whether it is new here."""
        is_new = super().raise_alarm(name, subject, **facts)
        if is_new:
            key = self._key(name, subject)
            self._cleared.pop(key, None)
            earlier = self._pending.get(key, _Pending())
            self._pending[key] = _Pending(earlier.raised or (self._clock.now(), facts))
            self._notice()
        return is_new

    async def raise_in(self, conn: AsyncConnection, name: str, subject: str, at: datetime, /, **facts: Any) -> bool:
        """Raise an alarm in the caller's transaction, as `kit.alarms.service.raise_in` does. Return whether it is new."""
        is_new = await super().raise_in(conn, name, subject, at, **facts)
        # If the transaction is rolled back, the next read finds that the alarm is not active.
        self._written.add((name, subject))
        self._changed.set()
        return is_new

    def clear(self, name: str, subject: str, /) -> None:
        """End an alarm about `subject`, whichever process raised it, if it is active; it is raised again if it comes back."""
        super().clear(name, subject)
        if name not in self._catalog:
            return
        key, now = self._key(name, subject), self._clock.now()
        if key in self._active or key in self._pending or key in self._written:
            pending = self._pending.get(key, _Pending())
            if pending.cleared is None:
                self._pending[key] = replace(pending, cleared=now)
                self._notice()
        else:
            self._cleared[key] = now, self._clock.monotonic()

    def active(self) -> set[Key]:
        """Return name and subject of each alarm that is active as far as this process knows."""
        raised = {key for key, pending in self._pending.items() if pending.raised is not None}
        cleared = {key for key, pending in self._pending.items() if pending.cleared is not None}
        return (set(self._active) | raised) - cleared

    def start(self) -> None:
        """Start to write what is raised and cleared, and to read what other processes have raised."""
        self._task = asyncio.create_task(self._loop(), name="alarms")

    async def stop(self) -> None:
        """Write what is left, for at most STOP_SECONDS, and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._pending:
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self.write()
            except Exception as error:  # noqa: BLE001 - the process ends; the log has every alarm
                log.error("alarms.lost", alarms=len(self._pending), reason=reason_of(error) or "no answer in time")

    async def sync(self) -> None:
        """Write what was raised and cleared, then read the active alarms. Raises the database's errors; nothing is lost then."""
        await self.write()
        await self.read()

    async def write(self) -> None:
        """Write what was raised and cleared since the last call, in one transaction."""
        batch = dict(self._pending)
        if not batch:
            return
        async with self._database.write() as conn:
            for (name, subject), pending in batch.items():
                if pending.raised is not None:
                    process = self._process if self._is_per_process(name) else None
                    await alarms_service.insert(conn, name, subject, *pending.raised, process)
                if pending.cleared is not None:
                    await alarms_service.clear(conn, [(name, subject)], pending.cleared)
        for key, pending in batch.items():
            current = self._pending[key]
            if current is pending:
                del self._pending[key]
            else:  # it was cleared, or raised again, during the write
                self._pending[key] = _Pending(None if current.cleared else current.raised, current.cleared)
            self._written.add(key)
        self.stored()

    async def read(self) -> None:
        """Read the active alarms of all processes."""
        async with self._database.read() as conn:
            self._active = await alarms_service.active_keys(conn)
        for key in self._written - self._active.keys() - self._pending.keys():
            self._written.discard(key)
            definition = self._catalog.get(key[0])
            # A condition that was ended elsewhere is raised again if it still holds. An event stays known: it happened once.
            if definition is not None and definition.ends is Ends.CONDITION:
                self._raised.discard(key)
        self._apply_earlier_clears()
        self._show()

    def _apply_earlier_clears(self) -> None:
        expired = self._clock.monotonic() - CLEARED_SECONDS
        for key, (at, monotonic) in list(self._cleared.items()):
            raised_at = self._active.get(key)
            if raised_at is not None and raised_at <= at:
                self._pending[key] = _Pending(cleared=at)
                self._changed.set()
            if raised_at is not None or monotonic < expired:
                del self._cleared[key]

    def _notice(self) -> None:
        self._show()
        self._changed.set()

    def _show(self) -> None:
        counts = dict.fromkeys(self._catalog, 0)
        for name, _subject in self.active():
            if name in counts:
                counts[name] += 1
        for name, count in counts.items():
            self._gauge.labels(name).set(count)

    def _key(self, name: str, subject: str) -> Key:
        if self._is_per_process(name) and not subject.startswith(self._process):
            subject = f"{self._process}/{subject}" if subject else self._process
        return name, subject[: alarms_service.MAX_SUBJECT]

    def _is_per_process(self, name: str) -> bool:
        definition = self._catalog.get(name)
        return definition is not None and definition.per_process

    async def _loop(self) -> None:
        task = asyncio.current_task()
        # A driver may turn the cancellation of its statement into an error of its own.
        while task is not None and not task.cancelling():
            self._changed.clear()
            wait = REFRESH_SECONDS
            try:
                await self.sync()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                if not self._failing:
                    log.error("alarms.not_stored", reason=reason_of(error), waiting=len(self._pending))
                self._failing, wait = True, RETRY_SECONDS
            else:
                if self._failing:
                    log.info("alarms.stored_again")
                self._failing = False
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue
            if self._failing:
                await asyncio.sleep(RETRY_SECONDS)
