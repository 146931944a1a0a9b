"""Holds each client to the rate of the route it asks for."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client import Counter as CounterMetric

from kit.clock import Clock
from kit.http.forwarded import Ip, Network, client_ip
from kit.http.problems import Problem
from kit.http.routing import LIMIT_HEADERS, Route
from onramp.auth.roles import PRINCIPAL
from onramp.limits.counter import Count, Counts
from onramp.limits.rates import WALLET_TIMES, Kind, Rate, headers, kind_of, scopes

MAX_STREAMS: Final = 200
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
        *,
        total: Rate | None = None,
    ) -> None:
        """`trusted`: networks of proxies whose X-Forwarded-For is believed. `total`: creates of all who show no API key, together."""
        self._counts = counts
        self._total: Final = total
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
        if principal is not None and principal.role != "wallet":
            # A key is given out by an admin and cannot be multiplied, so it counts as itself wherever it comes from.
            held = [_Held(f"{route.name}:{principal.id}", rate, kind)]
        else:
            held = self._held(request, route.name, rate, kind, None if principal is None else principal.id)
            if kind == "create" and self._total is not None:
                held.append(_Held(route.name, self._total, "create_total"))
        await self._count(request, held)

    async def refused(self, request: web.Request) -> None:
        """Count a credential that was refused, by address and over all routes: whoever tries many is not answered for long.

        A right credential is counted as itself, so it works on from the same address. Problem 429 for one too many.
        """
        rate = self._rates["read"]
        if rate is not None:
            await self._count(request, self._held(request, "refused", rate, "refused", None))

    @contextmanager
    def stream(self, request: web.Request) -> Iterator[None]:
        """Count a stream of this client while it is open, in this process, whose memory it takes; Problem 429 for one too many."""
        client_scopes = scopes(self._ip(request))
        if any(self._streams[scope.name] >= MAX_STREAMS * scope.times for scope in client_scopes):
            raise Problem(
                429,
                "too_many_streams",
                "Too many streams are open from your address or network. Close one, or ask for the session itself.",
                headers={"Retry-After": "30"},
            )
        for scope in client_scopes:
            self._streams[scope.name] += 1
        try:
            yield
        finally:
            for scope in client_scopes:
                self._streams[scope.name] -= 1
                if not self._streams[scope.name]:
                    del self._streams[scope.name]

    def _held(self, request: web.Request, name: str, rate: Rate, kind: Kind, wallet: str | None) -> "list[_Held]":
        """What a request without an API key is held to, its own rate first: the wallet's, the address', those of its networks."""
        held = _of_client(name, self._ip(request), rate, kind)
        if wallet is None:
            return list(held)
        own = _Held(f"{name}:{wallet}", rate, kind)
        # Wallets and visitors of one client do not use up each other's rate; that of a wider network they share.
        return [own, *(_of_wallets(one) if one.rate == rate else one for one in held)]

    async def _count(self, request: web.Request, held: "Sequence[_Held]") -> None:
        now = self._clock.now().timestamp()
        counts = [Count(one.key, int(now // one.rate.seconds), one.rate.seconds, one.rate.amount) for one in held]
        found = await self._counts.admit(counts)
        place = next((place for place, count in enumerate(counts) if found[place] > count.most), None)
        shown, count, number = held[place or 0], counts[place or 0], found[place or 0]
        reset = max(1, int((count.window + 1) * count.seconds - now) + 1)
        request[LIMIT_HEADERS] = headers(shown.kind, shown.rate, max(0, count.most - number), reset)
        if place is not None:
            self._refused.labels(shown.kind).inc()
            raise _too_many(shown, reset, shared=place > 0)

    def client(self, request: web.Request) -> str:
        """Who asks, by address."""
        return scopes(self._ip(request))[0].name

    def _ip(self, request: web.Request) -> Ip | None:
        return client_ip(request.remote, request.headers.getall("X-Forwarded-For", ()), self._trusted)

    def _kind(self, route: Route) -> Kind | None:
        if route.name not in self._kinds:
            self._kinds[route.name] = kind_of(route)
        return self._kinds[route.name]

    async def close(self) -> None:
        """Let go of what counts."""
        await self._counts.close()


@dataclass(frozen=True, slots=True)
class _Held:
    """One rate that a request is held to, and the name that is counted under it."""

    key: str
    rate: Rate
    kind: Kind


@lru_cache(maxsize=4096)
def _of_client(name: str, client: Ip | None, rate: Rate, kind: Kind) -> tuple[_Held, ...]:
    return tuple(_Held(f"{name}:{scope.name}", rate.times(scope.times), kind) for scope in scopes(client))


def _of_wallets(held: _Held) -> _Held:
    return _Held(f"wallets:{held.key}", held.rate.times(WALLET_TIMES), held.kind)


def _too_many(held: _Held, reset: int, *, shared: bool) -> Problem:
    if held.kind == "create_total":
        told = "Too many purchases are begun just now, by all buyers together"
    else:
        told = "Too many requests from your network" if shared else "Too many requests"
    return Problem(
        429,
        "rate_limited",
        f"{told}: {held.rate.amount} in {held.rate.seconds} s are served here. Nothing was done; try again in {reset} s.",
        headers={"Retry-After": str(reset)},
    )
