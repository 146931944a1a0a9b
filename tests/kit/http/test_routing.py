"""The route table: access, limits, parsing and timeouts in front of each handler."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from kit.http.documents import Document, reply
from kit.http.parsing import body_of, query_of
from kit.http.problems import Problem
from kit.http.routing import GUARD, Route, add_routes, route_of


class Item(Document):
    item_name: str


class Page(Document):
    limit: int = 10


class OnlyKeys:
    """A guard that knows one key."""

    def __init__(self) -> None:
        self.checked: list[str] = []

    async def check(self, request: web.Request, access: str) -> None:
        self.checked.append(access)
        if request.headers.get("Authorization") != "Bearer key":
            raise Problem(401, "unauthorized", "Send a key.")


async def call(route: Route, method: str, path: str, **options: Any) -> tuple[int, Any, OnlyKeys]:
    @web.middleware
    async def problems(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
        except Problem as problem:
            return web.json_response({"code": problem.code}, status=problem.status)
        except TimeoutError:
            return web.json_response({"code": "timeout"}, status=503)
        return response

    guard, app = OnlyKeys(), web.Application(middlewares=[problems])
    app[GUARD] = guard
    add_routes(app, [route])
    async with TestClient(TestServer(app)) as client, client.request(method, path, **options) as response:
        return response.status, await response.json(content_type=None), guard


async def echo(request: web.Request) -> web.StreamResponse:
    return reply(body_of(request, Item), status=201)


async def show(request: web.Request) -> web.StreamResponse:
    route = route_of(request)
    assert route is not None
    return web.json_response({"route": route.name, "limit": query_of(request, Page).limit})


CREATE = Route("POST", "/items", echo, access="anyone", summary="Create.", name="create", body=Item, response=Item)
READ = Route("GET", "/items/{id}", show, access="viewer", summary="Read.", name="read", query=Page, allow_head=True)


async def test_a_body_is_parsed_and_answered_in_camel_case() -> None:
    status, body, guard = await call(CREATE, "POST", "/items", json={"itemName": "x"})
    assert (status, body, guard.checked) == (201, {"itemName": "x"}, [])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"json": {"itemName": 1}}, (422, "validation_failed")),
        ({"json": {"itemName": "x", "more": 1}}, (422, "validation_failed")),
        ({"json": [1]}, (422, "validation_failed")),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, (400, "malformed_json")),
        ({"data": b"itemName=x"}, (415, "unsupported_media_type")),
        ({"json": {"itemName": "x" * 70_000}}, (413, "body_too_large")),
    ],
)
async def test_an_invalid_body_is_refused(options: dict[str, Any], expected: tuple[int, str]) -> None:
    status, body, _ = await call(CREATE, "POST", "/items", **options)
    assert (status, body["code"]) == expected


async def test_access_is_checked_before_anything_is_parsed() -> None:
    status, body, guard = await call(READ, "GET", "/items/1?limit=wrong")
    assert (status, body["code"], guard.checked) == (401, "unauthorized", ["viewer"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [("?limit=3", 200), ("", 200), ("?limit=3&limit=4", 422), ("?other=1", 422), ("?limit=%00", 422)],
)
async def test_a_query_is_parsed_strictly(query: str, expected: int) -> None:
    status, body, _ = await call(READ, "GET", f"/items/1{query}", headers={"Authorization": "Bearer key"})
    assert status == expected
    assert status != 200 or body == {"route": "read", "limit": 3 if query else 10}


async def test_a_path_with_nul_is_not_found() -> None:
    status, body, _ = await call(READ, "GET", "/items/a%00b", headers={"Authorization": "Bearer key"})
    assert (status, body["code"]) == (404, "not_found")


async def test_a_handler_has_a_time_limit() -> None:
    async def slow(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    route = Route("GET", "/slow", slow, access="anyone", summary="Slow.", name="slow", timeout=0.01)
    assert (await call(route, "GET", "/slow"))[0] == 503


async def test_head_is_answered_where_it_is_allowed() -> None:
    async def ok(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="alive")

    route = Route("GET", "/health", ok, access="anyone", summary="Alive.", name="health", allow_head=True)
    assert (await call(route, "HEAD", "/health"))[0] == 200
