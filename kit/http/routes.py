"""A route is data: method, path, who may use it, what goes in and out, and the handler."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from kit import json
from kit.http.problems import FieldError, Problem, invalid
from kit.validation_text import validation_text

Who = Literal["anyone", "wallet", "stripe", "metrics", "viewer", "operator", "approver", "admin"]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard(Protocol):
    """Decides who may pass."""

    async def check(self, request: web.Request, who: Who) -> None:
        """Raise Problem 401 or 403 for whoever may not."""


GUARD: web.AppKey[Guard] = web.AppKey("guard")


class Limiter(Protocol):
    """Decides who asked too often."""

    async def check(self, request: web.Request, route: "Route") -> None:
        """Raise Problem 429 for one request too many; leave LIMIT_HEADERS on the request."""

    async def refused(self, request: web.Request) -> None:
        """Count a request that the guard refused. Raises Problem 429, in place of that refusal, where it is one too many."""

    def stream(self, request: web.Request) -> AbstractContextManager[None]:
        """Count a stream of this client while it is open; Problem 429 for one too many."""


LIMITER: web.AppKey[Limiter] = web.AppKey("limiter")
LIMIT_HEADERS = web.RequestKey("limit_headers", dict[str, str])
"""The rate-limit headers of the answer to come."""

BODY = web.RequestKey("body", BaseModel)
QUERY = web.RequestKey("query", BaseModel)
KIB = 1024
BODY_SECONDS = 15.0
"""How long a body may take to arrive."""
MAX_FIELDS = 100
"""More than any body or query of ours has. Naming thousands of wrong fields in an answer would cost more than any valid request does."""
Model = TypeVar("Model", bound=BaseModel)


class Document(BaseModel):
    """A JSON document of ours: camelCase outside, unknown fields refused, no value silently converted."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        strict=True,
        frozen=True,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One line of the route table."""

    method: str
    path: str
    handler: Handler
    who: Who
    summary: str
    name: str
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    status: int = 200
    also: dict[int, str] = field(default_factory=dict)
    """Other answers: status -> what it means."""
    alike: frozenset[int] = frozenset()
    """Those of `also` that answer with the same document instead of a problem."""
    headers: dict[str, str] = field(default_factory=dict)
    """Request headers that mean something here: name -> meaning."""
    media: tuple[str, ...] = ("application/json",)
    body_optional: bool = False
    """No body at all means `{}`."""
    raw: bool = False
    """The handler reads the body itself (a webhook is verified over the raw bytes)."""
    limit: int = 64 * KIB
    timeout: float | None = 20.0
    """Seconds a request may take; None for streams, and where each thing that is waited for has a limit of its own."""
    head: bool = False
    """HEAD is answered as GET is, without the body: uptime monitors use it."""
    needs_code: bool = True
    """Whether an order here takes a code of the second factor from a key that has one; not where seconds count."""
    dry_run: bool = False
    """A body with `dryRun: true` orders nothing here, so it takes no code."""


ROUTE = web.RequestKey("route", Route)
ROUTE_TABLE: web.AppKey[tuple[Route, ...]] = web.AppKey("routes")


def body_of(request: web.Request, model: type[Model]) -> Model:
    """The parsed body of a route that declares one."""
    body = request[BODY]
    if not isinstance(body, model):
        message = f"the route table declares another body than {model.__name__}"
        raise TypeError(message)
    return body


def query_of(request: web.Request, model: type[Model]) -> Model:
    """The parsed query of a route that declares one."""
    query = request[QUERY]
    if not isinstance(query, model):
        message = f"the route table declares another query than {model.__name__}"
        raise TypeError(message)
    return query


def reply(document: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer, fields in camelCase."""
    content = document.__pydantic_serializer__.to_json(document, by_alias=True)
    return web.Response(body=content, status=status, content_type="application/json", headers=headers)


def reply_json(
    document: Mapping[str, Any], *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """A JSON answer that was rendered as a dictionary, for the routes that are asked most; the route names its model."""
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json", headers=headers)


def field_errors(error: ValidationError) -> list[FieldError]:
    """Each thing pydantic found, as pointer and sentence; never the value itself."""
    found = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        pointer = "".join(f"/{part}" for part in item["loc"])
        found.append(FieldError(pointer or "/", validation_text(item["msg"])))
    return found


def _too_large(limit: int) -> Problem:
    return Problem(413, "body_too_large", f"The body may be at most {limit // KIB} KiB.")


async def read_body(request: web.Request, limit: int) -> bytes:
    """All of the body. 413 as soon as it is known to be more than `limit` bytes, 400 for one that breaks off or cannot be decoded.

    TimeoutError for one that does not end.
    """
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit)
    try:
        if request.content.is_eof():
            raw = await request.read()
        else:
            async with asyncio.timeout(BODY_SECONDS):
                raw = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise _too_large(limit) from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise _unreadable() from error
    except RuntimeError as error:
        if request.transport is not None:
            raise
        # So the library says that the connection went between two of its reads.
        raise _unreadable() from error
    if len(raw) > limit:
        raise _too_large(limit)
    return raw


def _unreadable() -> Problem:
    return Problem(400, "body_unreadable", "The body breaks off, or is not encoded as its header says.")


async def parse_body(request: web.Request, model: type[BaseModel], limit: int, *, optional: bool = False) -> BaseModel:
    """Read and check a JSON body: 415, 413, 400 for what is no JSON, 422 naming each field that says something impossible.

    Where it is `optional`, none at all is read as `{}`.
    """
    if optional and not request.can_read_body:
        return model.model_validate({})
    if request.content_type != "application/json":
        raise Problem(415, "unsupported_media_type", "Send the body as application/json.")
    raw = await read_body(request, limit)
    try:
        value = json.loads(raw)
    except json.MalformedJson as error:
        said = str(error)
        raise Problem(400, "malformed_json", f"{said[0].upper()}{said[1:]}.") from error
    if not isinstance(value, dict):
        raise invalid([FieldError("", "must be a JSON object")])
    if len(value) > MAX_FIELDS:
        raise invalid([FieldError("", f"has more than {MAX_FIELDS} fields")])
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(field_errors(error)) from error


def parse_query(request: web.Request, model: type[BaseModel]) -> BaseModel:
    """Check the query string; a parameter given twice or unknown is 422 by name."""
    if len(request.query) > MAX_FIELDS:
        raise invalid([FieldError("", f"has more than {MAX_FIELDS} parameters")])
    nul = [name for name, value in request.query.items() if "\0" in value]
    if nul:
        raise invalid([FieldError(f"/{name[:64]}", "holds a NUL character") for name in nul])
    twice = {name for name in request.query if len(request.query.getall(name)) > 1}
    if twice:
        raise invalid([FieldError(f"/{name[:64]}", "is given twice") for name in sorted(twice)])
    try:
        return model.model_validate(dict(request.query), strict=False)
    except ValidationError as error:
        raise invalid(field_errors(error)) from error


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    """Put every route into the application, each behind its guard and its parser."""
    table = tuple(routes)
    app[ROUTE_TABLE] = table
    for route in table:
        handler = _wrap(route)
        app.router.add_route(route.method, route.path, handler, name=route.name)
        if route.head:
            app.router.add_route("HEAD", route.path, handler)


def _wrap(route: Route) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        request[ROUTE] = route
        limiter = request.app.get(LIMITER)
        if route.who != "anyone":
            try:
                await request.app[GUARD].check(request, route.who)
            except Problem:
                if limiter is not None:
                    await limiter.refused(request)
                raise
        if limiter is not None:
            await limiter.check(request, route)
        if any("\0" in part for part in request.match_info.values()):
            # Nothing of ours has such a name, and Postgres takes no text with it.
            raise Problem(404, "not_found", "There is nothing at this address.")
        if route.query is not None:
            request[QUERY] = parse_query(request, route.query)
        if route.body is not None and not route.raw:
            request[BODY] = await parse_body(request, route.body, route.limit, optional=route.body_optional)
        return await route.handler(request)

    async def handle_in_time(request: web.Request) -> web.StreamResponse:
        # The middleware answers the TimeoutError.
        async with asyncio.timeout(route.timeout):
            return await handle(request)

    return handle if route.timeout is None else handle_in_time


def route_of(request: web.Request) -> Route | None:
    """The route that serves this request, or None before one was found."""
    return request.get(ROUTE)
