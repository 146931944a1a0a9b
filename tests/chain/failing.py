"""How nodes and the gateways before them fail on the wire: pages for answers, silence, half of what was to be said, batches gone wrong."""

import asyncio

import orjson
from aiohttp import web

from tests.chain.lying import JSON, Asked, BatchLie, Lie


def html(status: int = 200) -> Lie:
    """A proxy's page."""

    async def tell(asked: Asked) -> web.StreamResponse:
        return web.Response(status=status, text="<html><h1>Bad gateway</h1></html>", content_type="text/html")

    return tell


def too_many(retry_after: str | None = None) -> Lie:
    """HTTP 429, with or without word of how long."""

    async def tell(asked: Asked) -> web.StreamResponse:
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        return web.Response(status=429, text="slow down", headers=headers)

    return tell


def hang() -> Lie:
    """No answer until the client gives up."""

    async def tell(asked: Asked) -> web.StreamResponse:
        while asked.request.transport is not None and not asked.request.transport.is_closing():
            await asyncio.sleep(0.05)
        return web.Response()

    return tell


def drip() -> Lie:
    """The true answer, a byte at a time: never silent for long, never done."""

    async def tell(asked: Asked) -> web.StreamResponse:
        body = orjson.dumps(await asked.truth())
        response = web.StreamResponse(headers=JSON)
        await response.prepare(asked.request)
        for byte in body.ljust(1000):
            await response.write(bytes([byte]))
            await asyncio.sleep(0.02)
        return response

    return tell


def truncated() -> Lie:
    """Half of the true answer, with the length of that half: only the JSON shows it."""

    async def tell(asked: Asked) -> web.StreamResponse:
        body = orjson.dumps(await asked.truth())
        return web.Response(body=body[: len(body) // 2], content_type="application/json")

    return tell


class Huge:
    """A body of 100 MB; `sent` counts what left before the client had enough."""

    SIZE = 100 * 1024 * 1024

    def __init__(self) -> None:
        """Nothing was sent."""
        self.sent = 0

    async def __call__(self, asked: Asked) -> web.StreamResponse:
        """Stream it."""
        response = web.StreamResponse(headers=JSON)
        await response.prepare(asked.request)
        chunk = b"0" * (1 << 20)
        while self.sent < self.SIZE:
            await response.write(chunk)
            self.sent += len(chunk)
        return response


def reset() -> Lie:
    """The connection is cut without an answer."""

    async def tell(asked: Asked) -> web.StreamResponse:
        if asked.request.transport is not None:
            asked.request.transport.abort()
        return web.Response()

    return tell


BATCHES: dict[str, BatchLie] = {
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
"""What is done to batches. Those that keep question and answer together, or refuse, tell the truth in the end."""
