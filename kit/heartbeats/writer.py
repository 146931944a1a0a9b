"""Write this process's heartbeats, over a connection of its own, so that nothing else in the process can delay them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from kit.alarms.alarms import LocalAlarms
from kit.clock import Clock
from kit.db.database import Database, reason_of
from kit.db.space import prove_space
from kit.heartbeats import service as heartbeats_service
from kit.logs import get_logger

log = get_logger(__name__)
BEAT_SECONDS: Final = 4.0
"""Seconds that one heartbeat may take, connecting included."""
PROVE_SECONDS: Final = 6.0
"""Seconds between two proofs that the database's disk has space. After a failure each heartbeat proves it."""
MAX_CLOCK_OFFSET: Final = 30.0
"""Seconds that this machine's clock may differ from the database's. Signed webhooks are refused at an offset of 300 s."""
FORGET_SECONDS: Final = 1.0
"""Seconds that an orderly stop waits for its rows to be removed; otherwise they expire by themselves."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The newest heartbeat of this process that was stored."""

    at: float
    """The monotonic time of this process when the heartbeat was stored, in seconds."""
    clock_offset: float
    """Seconds by which this machine's clock is ahead of the database's; negative if it is behind."""


class HeartbeatWriter:
    """Checks every few seconds that the database accepts writes and has space, and records which workers run in this process.

    Each process has one.
    """

    def __init__(
        self,
        database: Database,
        process: str,
        busy: Callable[[], Mapping[str, float]],
        clock: Clock,
        alarms: LocalAlarms | None = None,
    ) -> None:
        """Prepare the writer; nothing is written before `start`.

        `process` is unique among all that share the database. `busy` returns for each worker the seconds that its running step has lasted.
        Without `alarms`, alarms are only logged.
        """
        self._database = database
        self._own = database.separate()
        self._process = process
        self._busy = busy
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._alarms = LocalAlarms() if alarms is None else alarms
        self._prove_at = float("-inf")
        self.last: Heartbeat | None = None
        self.failure: str | None = None
        """Why the newest heartbeat was not stored, or why there is no space for more; None if neither holds, or if none has been tried."""

    def start(self) -> None:
        """Start writing heartbeats, the first one at once."""
        self._task = asyncio.create_task(self._loop(), name="heartbeats")

    async def stop(self) -> None:
        """Stop writing, and remove this process's rows. Takes at most FORGET_SECONDS plus the closing of one connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.failure is None and self.last is not None:
            try:
                async with asyncio.timeout(FORGET_SECONDS), self._own.write() as conn:
                    await heartbeats_service.forget(conn, self._process)
            except Exception as error:  # noqa: BLE001 - the rows expire by themselves
                log.info("heartbeats.not_removed", reason=reason_of(error))
        if self._own is not self._database:
            await self._own.close()

    async def beat(self) -> None:
        """Write one heartbeat now. A failure is kept in `failure`, and logged when it begins."""
        try:
            async with asyncio.timeout(BEAT_SECONDS):
                async with self._own.write() as conn:
                    seen = await heartbeats_service.beat(conn, self._process, self._busy())
                    offset = (self._clock.now() - seen).total_seconds()
                await self._check_space()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next heartbeat is tried
            reason = reason_of(error) or f"no answer within {BEAT_SECONDS:.0f} s"
            if self.failure is None:
                log.error("heartbeats.not_stored", reason=reason)
            self.failure = reason
            return
        if self.failure is not None:
            log.info("heartbeats.stored_again")
        self.last, self.failure = Heartbeat(self._clock.monotonic(), offset), None
        if abs(offset) > MAX_CLOCK_OFFSET:
            detail = "this machine's clock and the database's differ"
            self._alarms.raise_alarm("clock.apart", self._process, seconds=round(offset, 1), detail=detail)
        else:
            self._alarms.clear("clock.apart", self._process)

    async def _check_space(self) -> None:
        """Check that there is space for more than a heartbeat, which fits into space that is already allocated."""
        now = self._clock.monotonic()
        if self.failure is None and self._database.write_refusal is None and now < self._prove_at:
            return
        await prove_space(self._own)
        self._database.note_writable()
        self._prove_at = now + PROVE_SECONDS

    async def _loop(self) -> None:
        while True:
            await self.beat()
            await self._clock.sleep(heartbeats_service.EVERY_SECONDS)
