"""Follow recorded changes: all event streams of this process share one query, and nothing is asked while none is open.

On Postgres, a transaction with a smaller id may commit after one with a larger id. So ids that are missing are asked for again for a while.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from kit.clock import Clock
from kit.db.database import Database, is_unavailable, reason_of
from kit.logs import get_logger
from onramp.live_changes import service as live_changes_service
from onramp.live_changes.service import LiveChange

log = get_logger(__name__)
POLL_SECONDS: Final = 0.25
RENEW_SECONDS: Final = 10.0
LATE_SECONDS: Final = 30.0
"""How long a missing id is asked for: longer than any transaction of the service takes to commit."""
MAX_MISSING: Final = 500
MAX_WAITING: Final = 1_000
"""The most changes that wait for a slow reader. It is then told to read everything again."""
EVERYTHING: Final = "everything"
"""The kind of change that says that others may have been missed: the reader reads everything again."""


class Follower:
    """One open stream, and the changes that it has not read yet."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[LiveChange] = asyncio.Queue(MAX_WAITING)

    def put(self, change: LiveChange) -> None:
        """Add a change; if too many wait, they are replaced by one that says so."""
        if self._waiting.full():
            while not self._waiting.empty():
                self._waiting.get_nowait()
            change = LiveChange(change.id, EVERYTHING, "")
        self._waiting.put_nowait(change)

    async def next(self, seconds: float) -> LiveChange | None:
        """Return the next change; None if nothing changes within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                return await self._waiting.get()
        except TimeoutError:
            return None


class LiveChanges:
    """Reads the changes that the database records, for the streams of this process."""

    def __init__(self, database: Database, clock: Clock, process: str) -> None:
        """Prepare to follow; `process` is a name that no other process sharing the database has."""
        self._database = database
        self._clock = clock
        self._process = process
        self._followers: set[Follower] = set()
        self._newest = 0
        self._missing: dict[int, float] = {}
        """Ids below the newest that were not seen, each with the time until which it is asked for."""
        self._renewed_at: float | None = None
        self._beginning = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def follow(self) -> AsyncIterator[Follower]:
        """Yield a follower: it gets every change that commits from now on. Raises the database's errors."""
        async with self._beginning:
            if not self._followers:
                await self._begin()
            follower = Follower()
            self._followers.add(follower)
            if self._task is None:
                self._task = asyncio.create_task(self._loop(), name="live changes")
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    async def stop(self) -> None:
        """Stop following, and have nothing recorded for this process any more. Open streams have a signal of their own."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        try:
            async with self._database.write() as conn:
                await live_changes_service.stop_watching(conn, self._process)
        except Exception:  # noqa: BLE001 - the recording ends by itself
            log.warning("live_changes.not_stopped", detail="changes are recorded for half a minute longer than needed")

    async def _begin(self) -> None:
        await self._renew()
        async with self._database.read() as conn:
            known = await live_changes_service.newest_ids(conn)
        self._newest = known[0] if known else 0
        until = self._clock.monotonic() + LATE_SECONDS
        present = set(known)
        lowest = max(known[-1], self._newest - MAX_MISSING) if known else 0
        self._missing = {number: until for number in range(lowest, self._newest) if number not in present}

    async def _renew(self) -> None:
        now = self._clock.monotonic()
        async with self._database.write() as conn:
            await live_changes_service.watch(conn, self._process)
        before, self._renewed_at = self._renewed_at, now
        if before is not None and now - before >= live_changes_service.WATCH_SECONDS:
            self._tell(LiveChange(self._newest, EVERYTHING, ""))

    def _tell(self, change: LiveChange) -> None:
        for follower in self._followers:
            follower.put(change)

    async def _loop(self) -> None:
        is_away = False
        while True:
            await self._clock.sleep(POLL_SECONDS)
            if not self._followers:
                self._renewed_at = None
                continue
            try:
                await self._poll()
            except Exception as error:
                if not is_unavailable(error):
                    log.exception("live_changes.poll_failed")
                elif not is_away:
                    log.warning("live_changes.database_unavailable", reason=reason_of(error))
                is_away = is_unavailable(error)
            else:
                is_away = False

    async def _poll(self) -> None:
        now = self._clock.monotonic()
        if self._renewed_at is None or now - self._renewed_at >= RENEW_SECONDS:
            await self._renew()
        self._missing = {number: until for number, until in self._missing.items() if until > now}
        async with self._database.read() as conn:
            rows = await live_changes_service.after(conn, self._newest, self._missing)
        for change in rows:
            if change.id > self._newest:
                skipped = range(max(self._newest + 1, change.id - MAX_MISSING), change.id)
                self._missing |= dict.fromkeys(skipped, now + LATE_SECONDS)
                self._newest = change.id
            self._missing.pop(change.id, None)
            self._tell(change)
        while len(self._missing) > MAX_MISSING:
            del self._missing[next(iter(self._missing))]
