"""Faults of nodes and gateways at the HTTP level: error pages, silence, truncated answers, wrong batches."""

import asyncio

import orjson
from aiohttp import web

from tests.support.faulty_proxy import JSON, BatchFault, Fault, ProxiedCall


def html(status: int = 200) -> Fault:
    """Return a gateway's HTML page."""

    async def respond(proxied: ProxiedCall) -> web.StreamResponse:
        return web.Response(status=status, text="<html><h1>Bad gateway</h1></html>", content_type="text/html")

    return respond


def too_many(retry_after: str | None = None) -> Fault:
    """Return HTTP 429, with or without Retry-After."""

    async def respond(proxied: ProxiedCall) -> web.StreamResponse:
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        return web.Response(status=429, text="slow down", headers=headers)

    return respond


def hang() -> Fault:
    """Do not answer until the client closes the connection."""

    async def respond(proxied: ProxiedCall) -> web.StreamResponse:
        while proxied.request.transport is not None and not proxied.request.transport.is_closing():
            await asyncio.sleep(0.05)
        return web.Response()

    return respond


def drip() -> Fault:
    """Send the true answer byte by byte: never silent for long, and never complete in time."""

    async def respond(proxied: ProxiedCall) -> web.StreamResponse:
        body = orjson.dumps(await proxied.truth())
        response = web.StreamResponse(headers=JSON)
        await response.prepare(proxied.request)
        for byte in body.ljust(1000):
            await response.write(bytes([byte]))
            await asyncio.sleep(0.02)
        return response

    return respond


def truncated() -> Fault:
    """Send half of the true answer with the length of that half, so that only the JSON is broken."""

    async def respond(proxied: ProxiedCall) -> web.StreamResponse:
        body = orjson.dumps(await proxied.truth())
        return web.Response(body=body[: len(body) // 2], content_type="application/json")

    return respond


class Huge:
    """A body of 100 MB; `sent` counts the bytes sent before the client closed the connection."""

    SIZE = 100 * 1024 * 1024

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, proxied: ProxiedCall) -> web.StreamResponse:
        """Stream the body."""
        response = web.StreamResponse(headers=JSON)
        await response.prepare(proxied.request)
        chunk = b"0" * (1 << 20)
        while self.sent < self.SIZE:
            await response.write(chunk)
            self.sent += len(chunk)
        return response


def reset() -> Fault:
    """Close the connection without an answer."""

    async def respond(proxied: ProxiedCall) -> web.StreamResponse:
        if proxied.request.transport is not None:
            proxied.request.transport.abort()
        return web.Response()

    return respond


BATCHES: dict[str, BatchFault] = {
    "half": lambda answers: answers[: len(answers) // 2],
    "out-of-order": lambda answers: list(reversed(answers)),
    "swapped": lambda answers: [
        {**one, "id": other["id"]} for one, other in zip(answers, [*answers[1:], answers[0]], strict=True)
    ],
    "twice-the-first": lambda answers: [answers[0], *answers],
    "all-one-id": lambda answers: [{**one, "id": answers[0]["id"]} for one in answers],
    "ids-as-text": lambda answers: [{**one, "id": str(one["id"])} for one in answers],
    "no-ids": lambda answers: [{"jsonrpc": "2.0", "result": one.get("result")} for one in answers],
    "nulls": lambda answers: [None] * len(answers),
    "first-alone": lambda answers: answers[0],
    "text": lambda answers: "sorry",
    "empty": lambda answers: [],
    "error": lambda answers: {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32600, "message": "batch requests are not supported"},
    },
    "too-large": lambda answers: [
        {"jsonrpc": "2.0", "id": answers[0]["id"], "error": {"code": -32600, "message": "batch too large"}}
    ],
}
"""Faults of batches. Those that keep calls and answers together, or refuse, still lead to correct results."""
