"""Receivers of notifications on this machine: Slack, Discord, PagerDuty and a signed JSON endpoint, by path."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from multidict import CIMultiDictProxy


@dataclass
class Receivers:
    """What arrived at each path, and what each path answers next."""

    url: str = ""
    bodies: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    raw: dict[str, list[tuple[bytes, CIMultiDictProxy[str]]]] = field(default_factory=lambda: defaultdict(list))
    answers: dict[str, list[web.Response]] = field(default_factory=lambda: defaultdict(list))
    hanging: dict[str, asyncio.Event] = field(default_factory=dict)
    """Paths that answer only when their event is set."""

    async def handle(self, request: web.Request) -> web.Response:
        """Store what arrived, and answer."""
        body, path = await request.read(), request.path
        if path in self.hanging:
            await self.hanging[path].wait()
        if self.answers[path]:
            return self.answers[path].pop(0)
        self.raw[path].append((body, request.headers))
        self.bodies[path].append(orjson.loads(body) if body else None)
        return web.Response(text="ok")


@asynccontextmanager
async def receiving() -> AsyncIterator[Receivers]:
    """Run the receivers while the block runs."""
    receivers = Receivers()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receivers.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    receivers.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
    try:
        yield receivers
    finally:
        for event in receivers.hanging.values():
            event.set()
        await runner.cleanup()
