"""The pulse: writes this process's heartbeats, over a connection of its own, so that nothing else of the process can hold it up."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import DBAPIError

from kit.clock import Clock
from kit.db.database import Database, reason_of
from kit.heartbeats import service as heartbeats_service
from kit.logs import get_logger

log = get_logger(__name__)
_NOT_PERMITTED: Final = "42501"
BEAT_SECONDS: Final = 4.0
"""How long one heartbeat may take, connecting included."""
APART_SECONDS: Final = 30.0
"""How far this machine's clock may be from the database's: Stripe's events are refused where it is 300 s off."""
FORGET_SECONDS: Final = 1.0
"""How long an orderly stop waits for its rows to be removed; rows left behind grow old by themselves."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The newest heartbeat that the database stored."""

    at: float
    """Monotonic time of this process."""
    apart: float
    """Seconds by which this machine's clock is ahead of the database's; negative where it is behind."""


class HeartbeatWriter:
    """One for each process: proves every few seconds that the database can be written, and tells others which workers run here."""

    def __init__(self, database: Database, process: str, busy: Callable[[], Mapping[str, float]], clock: Clock) -> None:
        """`process`: unique among all that share the database. `busy`: worker -> seconds that its step under way has lasted."""
        self._database = database
        self._own = database.apart()
        self._process = process
        self._busy = busy
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._is_apart = False
        self.last: Beat | None = None
        self.failure: str | None = None
        """Why the newest heartbeat was not stored; None where it was, or where none has been tried."""

    def start(self) -> None:
        """Begin: the first heartbeat at once."""
        self._task = asyncio.create_task(self._loop(), name="heartbeats")

    async def stop(self) -> None:
        """End, and remove this process's rows. Takes no longer than FORGET_SECONDS and the closing of one connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.failure is None and self.last is not None:
            try:
                async with asyncio.timeout(FORGET_SECONDS), self._own.write() as conn:
                    await heartbeats_service.forget(conn, self._process)
            except Exception as error:  # noqa: BLE001 - the rows grow old by themselves
                log.info("heartbeats.not_removed", reason=reason_of(error))
        if self._own is not self._database:
            await self._own.close()

    async def beat(self) -> None:
        """Store one heartbeat now; what went wrong is kept in `failure` and logged when it begins."""
        try:
            async with asyncio.timeout(BEAT_SECONDS), self._own.write() as conn:
                seen = await heartbeats_service.beat(conn, self._process, self._busy())
                apart = (self._clock.now() - seen).total_seconds()
            if self._database.refusing is not None:
                await self._prove()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next heartbeat is tried
            reason = reason_of(error) or f"no answer within {BEAT_SECONDS:.0f} s"
            if self.failure is None:
                log.error("heartbeats.not_stored", reason=reason)
            self.failure = reason
            return
        if self.failure is not None:
            log.info("heartbeats.stored_again")
        self.last, self.failure = Beat(self._clock.monotonic(), apart), None
        if abs(apart) > APART_SECONDS and not self._is_apart:
            log.critical(
                "clock.apart", seconds=round(apart, 1), detail="this machine's clock and the database's differ"
            )
        self._is_apart = abs(apart) > APART_SECONDS

    async def _prove(self) -> None:
        """A statement of this process was refused lately: make sure that the database takes writes again."""
        if self._own.dialect == "postgresql":
            try:
                async with asyncio.timeout(BEAT_SECONDS), self._own.write() as conn:
                    await heartbeats_service.prove_space(conn)
            except DBAPIError as error:
                # A role that may make no temporary table proves as much as a heartbeat does.
                if getattr(error.orig, "sqlstate", None) != _NOT_PERMITTED:
                    raise
        self._database.takes_writes()

    async def _loop(self) -> None:
        while True:
            await self.beat()
            await self._clock.sleep(heartbeats_service.EVERY_SECONDS)
