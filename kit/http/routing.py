"""The route table: a route is data, from which both the aiohttp application and the OpenAPI document are made."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import KW_ONLY, dataclass, field
from typing import Final, Protocol

from aiohttp import web
from pydantic import BaseModel

from kit.http.parsing import BODY, KIB, QUERY, parse_body, parse_query
from kit.http.problems import Problem

Access = str
"""The access that a route requires: ANYONE, or another word that the application's guard understands, such as a role."""
ANYONE: Final = "anyone"
"""Access without credentials: the guard is not called."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard(Protocol):
    """Checks the credentials of requests."""

    async def check(self, request: web.Request, access: Access) -> None:
        """Raise Problem 401 or 403 unless the caller has `access`."""


GUARD: web.AppKey[Guard] = web.AppKey("guard")


class Limiter(Protocol):
    """Limits how many requests each client may send."""

    async def check(self, request: web.Request, route: "Route") -> None:
        """Count the request and put LIMIT_HEADERS on it. Raises Problem 429 if it exceeds the limit."""

    async def refused(self, request: web.Request) -> None:
        """Count a request that the guard refused. Raises Problem 429, which then replaces that refusal, if it exceeds the limit."""

    def stream(self, request: web.Request) -> AbstractContextManager[None]:
        """Return a context in which an open stream of this client is counted. Entering it raises Problem 429 if there are too many."""


LIMITER: web.AppKey[Limiter] = web.AppKey("limiter")
LIMIT_HEADERS = web.RequestKey("limit_headers", dict[str, str])
"""The rate-limit headers of this request's response."""


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One entry of the route table: method, path and handler, and what the OpenAPI document says about them."""

    method: str
    path: str
    handler: Handler
    _: KW_ONLY
    access: Access
    summary: str
    name: str
    """The unique name of the aiohttp route, which is also OpenAPI's operationId."""
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    response: type[BaseModel] | None = None
    status: int = 200
    responses: dict[int, str] = field(default_factory=dict)
    """The other responses: status -> what it means."""
    codes: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """The codes of the handler's own problems: status -> codes. Those of parsing, access and limits follow from the other fields."""
    foreign_codes: Mapping[int, str] = field(default_factory=dict)
    """Further codes, which another system chooses: status -> a pattern that they match."""
    event: type[BaseModel] | None = None
    """The model of one event of a `text/event-stream` response; None for any other response."""
    same_schema: frozenset[int] = frozenset()
    """Statuses of `responses` whose body is the `response` document instead of a problem."""
    headers: dict[str, str] = field(default_factory=dict)
    """The request headers that this route reads: name -> meaning."""
    media: tuple[str, ...] = ("application/json",)
    body_optional: bool = False
    """Whether a request without a body is read as `{}`."""
    raw_body: bool = False
    """Whether the handler reads the body itself, as for a webhook whose signature covers the raw bytes."""
    limit: int = 64 * KIB
    """The maximum size of the body in bytes."""
    timeout: float | None = 20.0
    """The seconds that a request may take; None for streams, and for handlers that limit each of their waits themselves."""
    allow_head: bool = False
    """Whether HEAD is answered like GET, without the body; uptime monitors use it."""
    needs_code: bool = True
    """Whether a write takes a second-factor code from callers who have enrolled one; False where seconds count, or a program writes."""
    signed_action: str = ""
    """The name of the command whose plan a passkey may sign in place of a second-factor code; empty: none. Its handler verifies the signature."""
    dry_run: bool = False
    """Whether a body with `dryRun: true` changes nothing, so that it takes no second-factor code."""


ROUTE = web.RequestKey("route", Route)
ROUTE_TABLE: web.AppKey[tuple[Route, ...]] = web.AppKey("routes")


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    """Add every route to the application, with its access check, rate limit, parsing and timeout."""
    table = tuple(routes)
    app[ROUTE_TABLE] = table
    for route in table:
        handler = handler_of(route)
        app.router.add_route(route.method, route.path, handler, name=route.name)
        if route.allow_head:
            app.router.add_route("HEAD", route.path, handler)


def handler_of(route: Route) -> Handler:
    """Return the aiohttp handler of `route`: access, rate limit, path, query and body are checked before the route's own handler runs."""

    async def handle(request: web.Request) -> web.StreamResponse:
        request[ROUTE] = route
        limiter = request.app.get(LIMITER)
        if route.access != ANYONE:
            try:
                await request.app[GUARD].check(request, route.access)
            except Problem:
                if limiter is not None:
                    await limiter.refused(request)
                raise
        if limiter is not None:
            await limiter.check(request, route)
        match = request.match_info
        if match and any("\0" in part for part in match.values()):
            # No id contains NUL, and Postgres accepts no text with one.
            raise Problem(404, "not_found", "There is nothing at this address.")
        if route.query is not None:
            request[QUERY] = parse_query(request, route.query)
        if route.body is not None and not route.raw_body:
            request[BODY] = await parse_body(request, route.body, route.limit, optional=route.body_optional)
        return await route.handler(request)

    async def handle_in_time(request: web.Request) -> web.StreamResponse:
        # The error middleware turns TimeoutError into a 503.
        async with asyncio.timeout(route.timeout):
            return await handle(request)

    return handle if route.timeout is None else handle_in_time


def route_of(request: web.Request) -> Route | None:
    """Return the route that serves this request; None if none matched."""
    return request.get(ROUTE)
