"""Turn the log lines of workers about a purchase into spans of its trace.

Each line that a worker writes about a purchase becomes a span without duration, under the span of the request that created the purchase,
whichever process the worker runs in. So the trace shows what the log shows, and no worker has code for it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

from kit.clock import Clock
from kit.db.database import DATABASE_ERRORS, Database, reason_of
from kit.logs import get_logger, listen, redact
from onramp.traces import service as traces_service

log = get_logger(__name__)
CREATED: Final = "session.created"
FACTS: Final = (
    "worker",
    "status",
    "state",
    "reason",
    "operation",
    "payout",
    "transaction",
    "tx_hash",
    "block",
    "nonce",
    "endpoint",
)
"""The values of a line that its span has as attributes: ids and states, no personal data."""
EVERY_SECONDS: Final = 0.5
MOST_WAITING: Final = 10_000
"""How many lines may wait while the database is away; the oldest are lost first."""
KEPT_FOR: Final = timedelta(days=30)
PRUNE_SECONDS: Final = 3600.0


class Spans(Protocol):
    """Reads and writes spans, as `onramp.ops.telemetry.Traces` does."""

    def current_parent(self) -> str | None:
        """Return the current span as a W3C `traceparent`; None outside a span, and for a span that is not sampled."""

    def record(self, name: str, parent: str, at_nanoseconds: int, attributes: Mapping[str, str]) -> None:
        """Record a span without duration under the span that `parent` names."""


@dataclass(frozen=True, slots=True)
class _Line:
    session: str
    event: str
    at_nanoseconds: int
    facts: Mapping[str, str]


class PurchaseTraces:
    """Follows the log of this process, and sends the spans of purchases in the background."""

    def __init__(self, database: Database, traces: Spans, clock: Clock) -> None:
        """Prepare to follow; nothing happens before `start`."""
        self._database = database
        self._traces = traces
        self._clock = clock
        self._created: dict[str, str] = {}
        self._lines: deque[_Line] = deque(maxlen=MOST_WAITING)
        self._task: asyncio.Task[None] | None = None
        self._pruned_at = float("-inf")

    def start(self) -> None:
        """Follow the log from now on."""
        self._end = listen(self._take)
        self._task = asyncio.create_task(self._run(), name="purchase-traces")

    async def stop(self) -> None:
        """Stop following, and record what was logged so far."""
        if self._task is None:
            return
        self._end()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()

    def _take(self, line: Mapping[str, Any]) -> None:
        """Take one line, in the task that logs it: there, the current span is that of the request."""
        session = line.get("session")
        if not isinstance(session, str):
            return
        if line.get("event") == CREATED and (parent := self._traces.current_parent()) is not None:
            self._created[session] = parent
        elif "worker" in line:
            facts = {name: redact(str(line[name])) for name in FACTS if line.get(name) is not None}
            self._lines.append(_Line(session, str(line["event"]), time.time_ns(), facts))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.flush()
            except DATABASE_ERRORS as error:
                log.warning("traces.database_unavailable", reason=reason_of(error))

    async def flush(self) -> None:
        """Store where new traces begin, and record the waiting lines as spans. Raises DATABASE_ERRORS; then all of it waits on."""
        created = dict(self._created)
        lines = list(self._lines)
        if created:
            async with self._database.write() as conn:
                await traces_service.remember(conn, created, self._clock.now())
            for session in created:
                self._created.pop(session, None)
        if lines:
            async with self._database.read() as conn:
                parents = await traces_service.parents_of(conn, {line.session for line in lines})
            for line in lines:
                if line.session in parents:
                    facts = {"onramp.session": line.session} | {
                        f"onramp.{name}": text for name, text in line.facts.items()
                    }
                    self._traces.record(line.event, parents[line.session], line.at_nanoseconds, facts)
                self._lines.popleft()
        if self._clock.monotonic() - self._pruned_at > PRUNE_SECONDS:
            self._pruned_at = self._clock.monotonic()
            async with self._database.write() as conn:
                await traces_service.prune(conn, self._clock.now() - KEPT_FOR)
