"""Limit how many requests a client may make to each kind of route."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, get_args

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client import Counter as CounterMetric

from kit.clock import Clock
from kit.http.forwarded import Ip, Network, client_ip
from kit.http.problems import Problem
from kit.http.routing import LIMIT_HEADERS, Route
from onramp.auth.roles import PRINCIPAL
from onramp.limits.counter import Count, Counts
from onramp.limits.rates import WALLET_TIMES, LimitKind, Rate, headers, kind_of, scopes

MAX_STREAMS: Final = 200
"""The most event streams that one client may have open in one process.

Each holds a connection and 27 KB (measured), and a rate limit alone would let them accumulate.
"""


class Limiter:
    """Counts requests and refuses those above a limit.

    It runs after the guard, so that an API key or a wallet is counted by its identity, whatever address it comes from.
    """

    def __init__(
        self,
        counts: Counts,
        rates: dict[LimitKind, Rate | None],
        trusted: Sequence[Network],
        clock: Clock,
        registry: CollectorRegistry,
        *,
        total: Rate | None = None,
    ) -> None:
        """Count in `counts`. `trusted` are the networks of proxies whose X-Forwarded-For counts.

        `rates` are the limits by kind of route, None for no limit; `total` is the limit for all creates without an API key together.
        """
        self._counts = counts
        self._total: Final = total
        self._rates: Final = rates
        self._trusted = tuple(trusted)
        self._clock = clock
        self._kinds: dict[str, LimitKind | None] = {}
        self._streams: Counter[str] = Counter()
        self._refused = CounterMetric("onramp_rate_limited_total", "Requests refused for their number.", ("kind",), registry=registry)  # fmt: skip
        for limit_kind in get_args(LimitKind):
            self._refused.labels(limit_kind)

    async def check(self, request: web.Request, route: Route) -> None:
        """Count the request. Raises Problem 429 if it exceeds a limit."""
        kind = self._kind(route)
        rate = None if kind is None else self._rates[kind]
        if kind is None or rate is None:
            return
        principal = request.get(PRINCIPAL)
        if principal is not None and principal.role != "wallet":
            # An admin issues keys, so a client cannot multiply them: a key counts by itself, whatever address it comes from. One that
            # creates purchases stands for all buyers of its dApp.
            if kind == "create":
                if self._total is None:
                    return
                rate = self._total
            held = [_Limit(f"{route.name}:{principal.id}", rate, kind)]
        else:
            held = self._held(request, route.name, rate, kind, None if principal is None else principal.id)
            if kind == "create" and self._total is not None:
                held.append(_Limit(route.name, self._total, "create_total"))
        await self._count(request, held)

    async def refused(self, request: web.Request) -> None:
        """Count a refused credential by address, over all routes, to stop guessing. Raises Problem 429 above the limit.

        A valid credential is counted by its identity, so it keeps working from the same address.
        """
        rate = self._rates["read"]
        if rate is not None:
            await self._count(request, self._held(request, "refused", rate, "refused", None))

    @contextmanager
    def stream(self, request: web.Request) -> Iterator[None]:
        """Count an event stream of this client while the block runs, in this process only. Raises Problem 429 above MAX_STREAMS."""
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

    def _held(self, request: web.Request, name: str, rate: Rate, kind: LimitKind, wallet: str | None) -> "list[_Limit]":
        """Return the limits of a request without an API key, the narrowest first: of the wallet, the address, its networks."""
        held = _of_client(name, self._ip(request), rate, kind)
        if wallet is None:
            return list(held)
        own = _Limit(f"{name}:{wallet}", rate, kind)
        # Wallets and anonymous visitors at one address do not use up each other's limits; they share those of wider networks.
        return [own, *(_of_wallets(limit) if limit.rate == rate else limit for limit in held)]

    async def _count(self, request: web.Request, held: "Sequence[_Limit]") -> None:
        now = self._clock.now().timestamp()
        counts = [
            Count(limit.key, int(now // limit.rate.seconds), limit.rate.seconds, limit.rate.amount) for limit in held
        ]
        totals = await self._counts.admit(counts)
        exceeded = next((index for index, count in enumerate(counts) if totals[index] > count.limit), None)
        # The headers describe the exceeded limit, or the narrowest one.
        limit, count, total = held[exceeded or 0], counts[exceeded or 0], totals[exceeded or 0]
        reset = max(1, int((count.window + 1) * count.seconds - now) + 1)
        request[LIMIT_HEADERS] = headers(limit.kind, limit.rate, max(0, count.limit - total), reset)
        if exceeded is not None:
            self._refused.labels(limit.kind).inc()
            raise _too_many(limit, reset, is_shared=exceeded > 0)

    def client(self, request: web.Request) -> str:
        """Return the name under which this request's address is counted."""
        return scopes(self._ip(request))[0].name

    def _ip(self, request: web.Request) -> Ip | None:
        return client_ip(request.remote, request.headers.getall("X-Forwarded-For", ()), self._trusted)

    def _kind(self, route: Route) -> LimitKind | None:
        if route.name not in self._kinds:
            self._kinds[route.name] = kind_of(route)
        return self._kinds[route.name]

    async def close(self) -> None:
        """Close the counter's connections."""
        await self._counts.close()


@dataclass(frozen=True, slots=True)
class _Limit:
    """A rate limit that applies to a request, and the key under which it is counted."""

    key: str
    rate: Rate
    kind: LimitKind


@lru_cache(maxsize=4096)
def _of_client(name: str, client: Ip | None, rate: Rate, kind: LimitKind) -> tuple[_Limit, ...]:
    return tuple(_Limit(f"{name}:{scope.name}", rate.times(scope.times), kind) for scope in scopes(client))


def _of_wallets(limit: _Limit) -> _Limit:
    return _Limit(f"wallets:{limit.key}", limit.rate.times(WALLET_TIMES), limit.kind)


def _too_many(limit: _Limit, reset: int, *, is_shared: bool) -> Problem:
    if limit.kind == "create_total":
        subject = "Too many purchases are being started, by all buyers together"
    else:
        subject = "Too many requests from your network" if is_shared else "Too many requests"
    return Problem(
        429,
        "rate_limited",
        f"{subject}: the limit is {limit.rate.amount} in {limit.rate.seconds} s. Nothing was done; try again in {reset} s.",
        headers={"Retry-After": str(reset)},
    )
