"""Counts by key and window: in Redis, which replicas share, or in memory; Redis away means memory, not an outage."""

import asyncio
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry, Counter

from kit.clock import Clock
from kit.keyring import KeyRing
from kit.logs import get_logger

log = get_logger(__name__)
REDIS_SECONDS: Final = 0.25
"""How long an answer of Redis is waited for."""
REST_SECONDS: Final = 5.0
"""How long Redis is left alone after it failed."""
MOST_CLIENTS: Final = 100_000
"""In memory, for each window; beyond it the window begins anew, so that memory stays bounded."""


class Counts(Protocol):
    """Where requests are counted."""

    async def hit(self, key: str, window: int, seconds: int) -> int:
        """Count one, and say how many there were in this window, this one included."""

    async def close(self) -> None:
        """Let go of connections."""


class MemoryCounts:
    """Of this process alone. A plain table per window length: the library's own looks at every key at every hit."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self._windows: dict[int, tuple[int, dict[str, int]]] = {}

    async def hit(self, key: str, window: int, seconds: int) -> int:
        """Never waits."""
        current, counts = self._windows.get(seconds, (-1, {}))
        if current != window or len(counts) >= MOST_CLIENTS:
            counts = {}
            self._windows[seconds] = (window, counts)
        found = counts[key] = counts.get(key, 0) + 1
        return found

    async def close(self) -> None:
        """Nothing is open."""


class SharedCounts:
    """In Redis, one round trip a hit; in memory while Redis is away."""

    def __init__(self, url: str, clock: Clock, registry: CollectorRegistry, ring: KeyRing) -> None:
        """`url`: redis:// or rediss://. Connects at the first hit. `ring`: hides from Redis, and its dumps, whose addresses are counted."""
        self._url = url
        self._hidden = ring.first("limits")
        self._clock = clock
        self._memory = MemoryCounts()
        self._storage: Any = None
        self._rest_until = 0.0
        self._fallbacks = Counter(
            "onramp_rate_limit_fallbacks_total", "Requests counted in memory because Redis did not answer.", registry=registry
        )  # fmt: skip

    async def hit(self, key: str, window: int, seconds: int) -> int:
        """How many there were, as all replicas count them."""
        if self._clock.monotonic() >= self._rest_until:
            try:
                redis = self._redis()  # the driver's import at the first hit is not Redis' slowness
                async with asyncio.timeout(REDIS_SECONDS):
                    name = f"{self._hidden.mac(key.encode()).hex()}:{seconds}:{window}"
                    return int(await redis.incr(name, seconds))
            except Exception as error:  # noqa: BLE001 - whatever Redis' driver raises, people go on being served
                self._rest_until = self._clock.monotonic() + REST_SECONDS
                log.warning("limits.redis_away", error=type(error).__name__, seconds=REST_SECONDS)
        self._fallbacks.inc()
        return await self._memory.hit(key, window, seconds)

    async def probe(self) -> None:
        """Raise what Redis' driver raises where Redis does not answer."""
        async with asyncio.timeout(2.0):
            await self._redis().incr("doctor", 5)

    async def close(self) -> None:
        """Close the connections."""
        if self._storage is not None:
            await self._storage.bridge.storage.aclose()

    def _redis(self) -> Any:
        if self._storage is None:
            self._storage = redis_storage(self._url)
        return self._storage


def redis_storage(url: str) -> Any:
    """The library's storage, over redis-py; nothing is sent yet."""
    from limits.aio.storage import RedisStorage

    return RedisStorage(f"async+{url}", implementation="redispy", key_prefix="onramp")
