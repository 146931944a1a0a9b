"""A node's front door of its own: three of them before one node stand for three operators, and each can be made to misbehave."""

import asyncio
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from onramp.dev.anvil import free_port


@dataclass(slots=True)
class Behaviour:
    """What the door does to what passes; all off is an honest node."""

    down: bool = False
    delay: float = 0.0
    chain_id: int | None = None
    behind: int = 0


class NodeProxy:
    """Forwards JSON-RPC to a node, on a port of its own."""

    def __init__(self, name: str, target: str, port: int | None = None) -> None:
        """`name` is the operator it stands for."""
        self.name = name
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.behaviour = Behaviour()
        self.calls = 0
        self._target = target
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the door."""
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64))
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_post("/", self._serve)
        app.router.add_options("/", self._preflight)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        """Close it."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _preflight(self, _request: web.Request) -> web.Response:
        return web.Response(status=204, headers=_CORS | {"Access-Control-Allow-Headers": "content-type"})

    async def _serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        behaviour = self.behaviour
        if behaviour.down or self._session is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        self.calls += 1
        if behaviour.delay:
            await asyncio.sleep(behaviour.delay)
        try:
            async with self._session.post(self._target, data=body, headers={"Content-Type": "application/json"}) as answer:
                raw = await answer.read()
        except aiohttp.ClientError:
            return web.Response(status=502)
        if behaviour.chain_id is not None or behaviour.behind:
            raw = self._bend(orjson.loads(body), raw)
        return web.Response(body=raw, content_type="application/json", headers=_CORS)

    def _bend(self, asked: Any, raw: bytes) -> bytes:
        if not isinstance(asked, dict):
            return raw
        answer = orjson.loads(raw)
        if asked.get("method") == "eth_chainId" and self.behaviour.chain_id is not None:
            answer["result"] = hex(self.behaviour.chain_id)
        if asked.get("method") == "eth_blockNumber" and isinstance(answer.get("result"), str):
            answer["result"] = hex(max(0, int(answer["result"], 16) - self.behaviour.behind))
        return orjson.dumps(answer)


_CORS = {"Access-Control-Allow-Origin": "*"}
