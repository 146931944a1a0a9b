"""Count requests by key and time window: in Redis, shared by all replicas, or in memory while Redis is unavailable."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

from prometheus_client import CollectorRegistry, Counter

from kit.clock import Clock
from kit.crypto.keyring import KeyRing
from kit.logs import get_logger, redact

log = get_logger(__name__)
REDIS_SECONDS: Final = 0.25
"""The time limit of one request to Redis, in seconds."""
CLOSE_SECONDS: Final = 1.0
PAUSE_SECONDS: Final = 5.0
"""Seconds for which Redis is not asked after it failed."""
MAX_CLIENTS: Final = 100_000
"""How many keys are counted in memory for each window length; beyond it the window starts again from zero, so that memory stays bounded."""


NO_LIMIT: Final = 1 << 50
_ADMIT: Final = """
local counted, full = redis.call('MGET', unpack(KEYS)), false
for i = 1, #KEYS do
  counted[i] = tonumber(counted[i] or '0') + 1
  if counted[i] > tonumber(ARGV[2 * i]) then full = true end
end
if full then return counted end
for i, key in ipairs(KEYS) do
  if redis.call('INCR', key) == 1 then redis.call('EXPIRE', key, ARGV[2 * i - 1]) end
end
return counted
"""
"""A script that Redis runs atomically for all keys. ARGV holds two numbers for each key: the seconds of its window and its limit.

It returns the counts with this request; if one exceeds its limit, nothing is stored.
"""


@dataclass(frozen=True, slots=True)
class Count:
    """A limit that applies to a request: at most `limit` requests of `key` in the `window`-th window of `seconds`."""

    key: str
    window: int
    seconds: int
    limit: int


class Counts(Protocol):
    """Counts requests by key and time window."""

    async def admit(self, counts: Sequence[Count]) -> Sequence[int]:
        """Return how many requests each count has in its window, including this one.

        If one exceeds its limit, the request is refused and counted nowhere: a refused client uses up nothing that it shares with
        others, and adds no key.
        """

    async def hit(self, key: str, window: int, seconds: int) -> int:
        """Count one request without a limit; return how many there are in this window, including this one."""

    async def close(self) -> None:
        """Close the connections, if there are any."""


class MemoryCounts:
    """Counts in this process only. One dictionary per window length: the library's own storage scans every key at every hit."""

    def __init__(self) -> None:
        self._windows: dict[int, tuple[int, dict[str, int]]] = {}

    async def admit(self, counts: Sequence[Count]) -> Sequence[int]:
        """Count a request in memory; return the number of requests of each count, including this one. Nothing is counted if one exceeds its limit."""
        tables = [self._table(count.window, count.seconds) for count in counts]
        totals = [table.get(count.key, 0) + 1 for table, count in zip(tables, counts, strict=True)]
        if all(number <= count.limit for number, count in zip(totals, counts, strict=True)):
            for table, count, number in zip(tables, counts, totals, strict=True):
                table[count.key] = number
        return totals

    async def hit(self, key: str, window: int, seconds: int) -> int:
        """Count one request in memory without a limit; return how many there are in this window."""
        return (await self.admit([Count(key, window, seconds, NO_LIMIT)]))[0]

    def _table(self, window: int, seconds: int) -> dict[str, int]:
        current, table = self._windows.get(seconds, (-1, {}))
        if current != window or len(table) >= MAX_CLIENTS:
            table = {}
            self._windows[seconds] = (window, table)
        return table

    async def close(self) -> None:
        """Do nothing: no connection is open."""


class SharedCounts:
    """Counts in Redis with one round trip for all counts of a request; in memory while Redis is unavailable."""

    def __init__(self, url: str, clock: Clock, registry: CollectorRegistry, ring: KeyRing) -> None:
        """Prepare to count in the Redis at `url` (redis:// or rediss://); the connection opens at the first request.

        Keys are MACs under `ring`, so that Redis and its dumps do not reveal client addresses.
        """
        self._url = url
        self._mac_key = ring.first("limits")
        self._clock = clock
        self._memory = MemoryCounts()
        self._storage: Any = None
        self._admit: Any = None
        self._paused_until = 0.0
        self._fallbacks = Counter(
            "onramp_rate_limit_fallbacks_total", "Requests counted in memory because Redis did not answer.", registry=registry
        )  # fmt: skip

    async def admit(self, counts: Sequence[Count]) -> Sequence[int]:
        """Count a request in Redis; return the number of requests of each count, including this one. Nothing is counted if one exceeds its limit.

        Counts in memory while Redis is unavailable.
        """
        if self._clock.monotonic() >= self._paused_until:
            try:
                script = self._script()  # outside the timeout: the first request also imports the driver
                arguments = [number for count in counts for number in (count.seconds, count.limit)]
                async with asyncio.timeout(REDIS_SECONDS):
                    return [int(number) for number in await script(keys=[*map(self._name, counts)], args=arguments)]
            except Exception as error:  # noqa: BLE001 - whatever the driver raises, requests must still be served
                self._paused_until = self._clock.monotonic() + PAUSE_SECONDS
                log.warning("limits.redis_unavailable", reason=self.error_text(error), seconds=PAUSE_SECONDS)
        self._fallbacks.inc()
        return await self._memory.admit(counts)

    async def hit(self, key: str, window: int, seconds: int) -> int:
        """Count one request in Redis, or in memory while it is unavailable, without a limit; return how many there are in this window."""
        return (await self.admit([Count(key, window, seconds, NO_LIMIT)]))[0]

    def _name(self, count: Count) -> str:
        # Braces: in a cluster all keys of a request must be in one hash slot (redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec).
        return f"{{onramp}}:{self._mac_key.mac(count.key.encode()).hex()}:{count.seconds}:{count.window}"

    def _script(self) -> Any:
        if self._admit is None:
            self._admit = self._redis().bridge.storage.register_script(_ADMIT)
        return self._admit

    def error_text(self, error: Exception) -> str:
        """Return an error of Redis or its driver as one line, without the password of REDIS_URL."""
        text = f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(": ")
        for password in {urlsplit(self._url).password, unquote(urlsplit(self._url).password or "")} - {None, ""}:
            text = text.replace(str(password), "[redacted]")
        return redact(text)[:200]

    async def probe(self) -> None:
        """Send one request to Redis. Raises the errors of its driver."""
        async with asyncio.timeout(2.0):
            await self._redis().incr("doctor", 5)

    async def close(self) -> None:
        """Close the connections, within CLOSE_SECONDS."""
        if self._storage is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._storage.bridge.storage.aclose()

    def _redis(self) -> Any:
        if self._storage is None:
            self._storage = redis_storage(self._url)
        return self._storage


def redis_storage(url: str) -> Any:
    """Return the `limits` library's Redis storage over redis-py, not connected yet."""
    from limits.aio.storage import RedisStorage

    return RedisStorage(f"async+{url}", implementation="redispy", key_prefix="onramp")
