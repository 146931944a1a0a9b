"""Holds each client to the rate of the route it asks for."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client import Counter as CounterMetric

from kit.auth import PRINCIPAL
from kit.clock import Clock
from kit.http.routes import LIMIT_HEADERS, Route
from kit.problems import Problem
from onramp.limits.counter import Counts
from onramp.limits.policy import Kind, Network, Rate, client_address, headers, kind_of

MOST_STREAMS: Final = 200
"""Open at once by one client of one process. Each keeps a connection and 27 KB (measured), and a rate alone would let them pile up."""


class Limiter:
    """One for the service; asked after the guard, so that a key or a wallet is counted as itself wherever it comes from."""

    def __init__(
        self,
        counts: Counts,
        rates: dict[Kind, Rate | None],
        trusted: Sequence[Network],
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        """`trusted`: networks of proxies whose X-Forwarded-For is believed."""
        self._counts = counts
        self._rates: Final = rates
        self._trusted = tuple(trusted)
        self._clock = clock
        self._kinds: dict[str, Kind | None] = {}
        self._streams: Counter[str] = Counter()
        self._refused = CounterMetric("onramp_rate_limited_total", "Requests refused for their number.", ("kind",), registry=registry)  # fmt: skip

    async def check(self, request: web.Request, route: Route) -> None:
        """Count the request; Problem 429 where it is one too many."""
        kind = self._kind(route)
        rate = None if kind is None else self._rates[kind]
        if kind is None or rate is None:
            return
        principal = request.get(PRINCIPAL)
        who = principal.id if principal is not None else self.client(request)
        await self._count(request, f"{route.name}:{who}", kind, rate)

    async def refused(self, request: web.Request) -> None:
        """Count a credential that was refused, by address and over all routes: whoever tries many is not answered for long.

        A right credential is counted as itself, so it works on from the same address. Problem 429 for one too many.
        """
        rate = self._rates["read"]
        if rate is not None:
            await self._count(request, f"refused:{self.client(request)}", "refused", rate)

    @contextmanager
    def stream(self, request: web.Request) -> Iterator[None]:
        """Count a stream of this client while it is open, in this process, whose memory it takes; Problem 429 for one too many."""
        client = self.client(request)
        if self._streams[client] >= MOST_STREAMS:
            raise Problem(
                429,
                "too_many_streams",
                f"{MOST_STREAMS} streams are open from your address. Close one, or ask for the session itself.",
                headers={"Retry-After": "30"},
            )
        self._streams[client] += 1
        try:
            yield
        finally:
            self._streams[client] -= 1
            if not self._streams[client]:
                del self._streams[client]

    async def _count(self, request: web.Request, key: str, kind: Kind, rate: Rate) -> None:
        now = self._clock.now().timestamp()
        window = int(now // rate.seconds)
        count = await self._counts.hit(key, window, rate.seconds)
        reset = max(1, int((window + 1) * rate.seconds - now) + 1)
        request[LIMIT_HEADERS] = headers(kind, rate, max(0, rate.amount - count), reset)
        if count > rate.amount:
            self._refused.labels(kind).inc()
            raise Problem(
                429,
                "rate_limited",
                f"Too many requests: {rate.amount} in {rate.seconds} s are served here. Nothing was done; try again in {reset} s.",
                headers={"Retry-After": str(reset)},
            )

    def client(self, request: web.Request) -> str:
        """Who asks, by address."""
        return client_address(request.remote, request.headers.getall("X-Forwarded-For", ()), self._trusted)

    def _kind(self, route: Route) -> Kind | None:
        if route.name not in self._kinds:
            self._kinds[route.name] = kind_of(route)
        return self._kinds[route.name]

    async def close(self) -> None:
        """Let go of what counts."""
        await self._counts.close()
