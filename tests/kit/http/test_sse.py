"""Server-sent events."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from kit.http import sse


def make_app(stopping: asyncio.Event, *, endless: bool) -> web.Application:
    async def events() -> AsyncIterator[tuple[str, str, bytes]]:
        yield "1", "session", b'{"a":1}'
        yield "2", "session", b'{"a":2}'
        if endless:
            await asyncio.Event().wait()

    async def handler(request: web.Request) -> web.StreamResponse:
        return await sse.stream(request, events(), stopping)

    app = web.Application()
    app.router.add_get("/", handler)
    return app


async def test_events_are_framed_and_the_stream_ends_with_them() -> None:
    async with TestClient(TestServer(make_app(asyncio.Event(), endless=False))) as client, client.get("/") as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-store, no-transform"
        body = await response.read()
    assert body == b'retry: 2000\nid: 1\nevent: session\ndata: {"a":1}\n\nid: 2\nevent: session\ndata: {"a":2}\n\n'


async def test_an_idle_stream_gets_heartbeats_and_ends_when_the_service_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.01)
    stopping = asyncio.Event()
    async with TestClient(TestServer(make_app(stopping, endless=True))) as client, client.get("/") as response:
        await response.content.readuntil(b": still here\n\n")
        stopping.set()
        await asyncio.wait_for(response.read(), 10)


async def test_a_service_that_stops_already_ends_a_new_stream() -> None:
    stopping = asyncio.Event()
    stopping.set()
    async with TestClient(TestServer(make_app(stopping, endless=True))) as client, client.get("/") as response:
        assert (await asyncio.wait_for(response.read(), 10)).startswith(b"retry: 2000\n")
