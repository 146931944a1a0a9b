"""Counts by key and window: in Redis, which replicas share, or in memory; Redis away means memory, not an outage."""

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
"""How long an answer of Redis is waited for."""
CLOSE_SECONDS: Final = 1.0
REST_SECONDS: Final = 5.0
"""How long Redis is left alone after it failed."""
MAX_CLIENTS: Final = 100_000
"""In memory, for each window; beyond it the window begins anew, so that memory stays bounded."""


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
"""In Redis one step for all keys. ARGV: for each key the seconds of its window, then how many it takes."""


@dataclass(frozen=True, slots=True)
class Count:
    """One of the counts that a request is held to: at most `most` of `key` in this window of `seconds`."""

    key: str
    window: int
    seconds: int
    most: int


class Counts(Protocol):
    """Where requests are counted."""

    async def admit(self, counts: Sequence[Count]) -> Sequence[int]:
        """How many there are of each in its window, this request included.

        Where one is above its `most`, the request is refused and counted nowhere: a client that is refused uses up nothing of what
        others share with it, and adds no key.
        """

    async def hit(self, key: str, window: int, seconds: int) -> int:
        """Count one, whatever the number; how many there were in this window, this one included."""

    async def close(self) -> None:
        """Let go of connections."""


class MemoryCounts:
    """Of this process alone. A plain table per window length: the library's own looks at every key at every hit."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self._windows: dict[int, tuple[int, dict[str, int]]] = {}

    async def admit(self, counts: Sequence[Count]) -> Sequence[int]:
        """Never waits."""
        tables = [self._table(count.window, count.seconds) for count in counts]
        found = [table.get(count.key, 0) + 1 for table, count in zip(tables, counts, strict=True)]
        if all(number <= count.most for number, count in zip(found, counts, strict=True)):
            for table, count, number in zip(tables, counts, found, strict=True):
                table[count.key] = number
        return found

    async def hit(self, key: str, window: int, seconds: int) -> int:
        """Never waits."""
        return (await self.admit([Count(key, window, seconds, NO_LIMIT)]))[0]

    def _table(self, window: int, seconds: int) -> dict[str, int]:
        current, table = self._windows.get(seconds, (-1, {}))
        if current != window or len(table) >= MAX_CLIENTS:
            table = {}
            self._windows[seconds] = (window, table)
        return table

    async def close(self) -> None:
        """Nothing is open."""


class SharedCounts:
    """In Redis, one round trip for all counts of a request; in memory while Redis is away."""

    def __init__(self, url: str, clock: Clock, registry: CollectorRegistry, ring: KeyRing) -> None:
        """`url`: redis:// or rediss://. Connects at the first hit. `ring`: hides from Redis, and its dumps, whose addresses are counted."""
        self._url = url
        self._hidden = ring.first("limits")
        self._clock = clock
        self._memory = MemoryCounts()
        self._storage: Any = None
        self._admit: Any = None
        self._rest_until = 0.0
        self._fallbacks = Counter(
            "onramp_rate_limit_fallbacks_total", "Requests counted in memory because Redis did not answer.", registry=registry
        )  # fmt: skip

    async def admit(self, counts: Sequence[Count]) -> Sequence[int]:
        """As all replicas count them."""
        if self._clock.monotonic() >= self._rest_until:
            try:
                script = self._script()  # the driver's import at the first request is not Redis' slowness
                arguments = [number for count in counts for number in (count.seconds, count.most)]
                async with asyncio.timeout(REDIS_SECONDS):
                    return [int(number) for number in await script(keys=[*map(self._name, counts)], args=arguments)]
            except Exception as error:  # noqa: BLE001 - whatever Redis' driver raises, people go on being served
                self._rest_until = self._clock.monotonic() + REST_SECONDS
                log.warning("limits.redis_away", reason=self.said(error), seconds=REST_SECONDS)
        self._fallbacks.inc()
        return await self._memory.admit(counts)

    async def hit(self, key: str, window: int, seconds: int) -> int:
        """As all replicas count it."""
        return (await self.admit([Count(key, window, seconds, NO_LIMIT)]))[0]

    def _name(self, count: Count) -> str:
        # Braces: in a cluster all keys of a request must lie in one place (redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec).
        return f"{{onramp}}:{self._hidden.mac(count.key.encode()).hex()}:{count.seconds}:{count.window}"

    def _script(self) -> Any:
        if self._admit is None:
            self._admit = self._redis().bridge.storage.register_script(_ADMIT)
        return self._admit

    def said(self, error: Exception) -> str:
        """What Redis or its driver said, in one line and without the password of REDIS_URL."""
        text = f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(": ")
        for password in {urlsplit(self._url).password, unquote(urlsplit(self._url).password or "")} - {None, ""}:
            text = text.replace(str(password), "[redacted]")
        return redact(text)[:200]

    async def probe(self) -> None:
        """Raise what Redis' driver raises where Redis does not answer."""
        async with asyncio.timeout(2.0):
            await self._redis().incr("doctor", 5)

    async def close(self) -> None:
        """Close the connections."""
        if self._storage is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._storage.bridge.storage.aclose()

    def _redis(self) -> Any:
        if self._storage is None:
            self._storage = redis_storage(self._url)
        return self._storage


def redis_storage(url: str) -> Any:
    """The library's storage, over redis-py; nothing is sent yet."""
    from limits.aio.storage import RedisStorage

    return RedisStorage(f"async+{url}", implementation="redispy", key_prefix="onramp")
