"""A server that is both Sentry and an OpenTelemetry collector, and logging that is put back as it was."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from kit import logs
from onramp.dev.chain.anvil import free_port


class Elsewhere:
    """A server that is both Sentry and a collector, on real HTTP."""

    def __init__(self) -> None:
        self.url = ""
        self.errors: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.spans: list[Span] = []

    async def sentry(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.raw.append(body)
        lines = [json.loads(line) for line in body.splitlines()]
        self.errors += [item for kind, item in zip(lines[1::2], lines[2::2], strict=True) if kind["type"] == "event"]
        return web.json_response({})

    async def collector(self, request: web.Request) -> web.Response:
        export = ExportTraceServiceRequest.FromString(await request.read())
        self.spans += [span for one in export.resource_spans for scope in one.scope_spans for span in scope.spans]
        return web.Response()


@asynccontextmanager
async def elsewhere() -> AsyncIterator[Elsewhere]:
    there, port = Elsewhere(), free_port()
    app = web.Application()
    app.add_routes([web.post("/api/7/envelope/", there.sentry), web.post("/v1/traces", there.collector)])
    # Not by `start_app`: Sentry's client packs what it sends, and the service's own servers unpack nothing.
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    there.url = f"127.0.0.1:{port}"
    yield there
    await runner.cleanup()


@contextmanager
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logs.configure("warning", "text")
