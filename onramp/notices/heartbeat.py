"""Call HEARTBEAT_URL each minute while the service works, so that a monitor elsewhere notices when it does not, or is gone."""

from collections.abc import Collection
from typing import Final

from kit.clock import Clock
from kit.db.database import Database
from kit.heartbeats.service import workers_seen
from kit.http.outbound import OutboundClient, OutboundFailure
from kit.logs import get_logger
from kit.worker import STALLED_SECONDS

log = get_logger(__name__)
EVERY_SECONDS: Final = 60.0
SECONDS: Final = 10.0


class Heartbeat:
    """Calls a URL by GET, once a minute, only while every worker of `needed` runs in some process and the database takes their heartbeats."""

    def __init__(
        self, url: str, http: OutboundClient, database: Database, needed: Collection[str], clock: Clock
    ) -> None:
        self._url = url
        self._http = http
        self._database = database
        self._needed = frozenset(needed)
        self._clock = clock
        self._due_at = float("-inf")
        self._failing = False

    async def step(self) -> None:
        """Call the URL if that is due and the service is healthy. A failure of the call is logged when it begins."""
        if not self._url or self._clock.monotonic() < self._due_at:
            return
        self._due_at = self._clock.monotonic() + EVERY_SECONDS
        missing = await self._missing()
        if missing:
            log.warning("heartbeat.withheld", workers=sorted(missing))
            return
        response = await self._http.request("GET", self._url, seconds=SECONDS)
        is_failed = isinstance(response, OutboundFailure) or response.status >= 400
        if is_failed and not self._failing:
            reason = response.reason if isinstance(response, OutboundFailure) else f"it answered {response.status}"
            log.error("heartbeat.not_sent", reason=reason)
        self._failing = is_failed

    async def _missing(self) -> set[str]:
        """Return the needed workers that run in no process, or whose step does not end."""
        async with self._database.read() as conn:
            seen = await workers_seen(conn)
        return {
            name
            for name in self._needed
            if name not in seen or not seen[name].is_present or seen[name].busy_seconds > STALLED_SECONDS
        }
