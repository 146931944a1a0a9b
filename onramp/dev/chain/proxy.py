"""A node's front door: three of them before one node stand for three operators, and each can be made to misbehave."""

import asyncio
from collections import Counter
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from onramp.dev.chain import lag
from onramp.dev.chain.anvil import free_port

_BODY_BYTES = 4 * 1024 * 1024
_JSON = "application/json"


class NodeProxy:
    """Forwards JSON-RPC to a node, on a port of its own. The switches may be set at any time, from any thread.

    `down`            connections are cut without an answer; after `stop` they are refused.
    `delay`           seconds before an answer.
    `wrong_chain_id`  what it says to eth_chainId and net_version; None: the truth.
    `behind`          blocks it lags behind the head, in everything it says.
    """

    def __init__(self, name: str) -> None:
        """`name` is the operator it stands for."""
        self.name = name
        self.down = False
        self.delay = 0.0
        self.wrong_chain_id: int | None = None
        self.behind = 0
        self.calls: Counter[str] = Counter()
        """How often each method was asked for, refused ones included."""
        self._port: int | None = None
        self._target = ""
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """Where it listens: on a port that is taken at the first `start` and kept. Raises RuntimeError before."""
        if self._port is None:
            message = f"the proxy {self.name} has not been started"
            raise RuntimeError(message)
        return f"http://127.0.0.1:{self._port}"

    def honest(self) -> None:
        """All switches off."""
        self.down, self.delay, self.wrong_chain_id, self.behind = False, 0.0, None, 0

    async def start(self, target: str) -> None:
        """Listen, and forward to the node at `target`. Raises OSError where the port that was kept is taken now."""
        self._target = target
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        app = web.Application(client_max_size=_BODY_BYTES)
        app.router.add_post("/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        try:
            await self._runner.setup()
            self._port = self._port or free_port()
            await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening; `start` again listens on the same port. Harmless when it does not run."""
        runner, self._runner = self._runner, None
        session, self._session = self._session, None
        if runner is not None:
            await runner.cleanup()
        if session is not None:
            await session.close()

    async def _serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError:
            return web.json_response(
                {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}
            )
        self.calls.update(str(one.get("method")) for one in (asked if isinstance(asked, list) else [asked]))
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.down:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        try:
            if self.wrong_chain_id is None and not self.behind:
                return web.Response(body=await self._forward(body), content_type=_JSON)
            return web.Response(body=orjson.dumps(await self._bend(asked)), content_type=_JSON)
        except aiohttp.ClientError:
            return web.Response(status=502)

    async def _forward(self, body: bytes) -> bytes:
        if self._session is None:
            message = "the proxy is stopping"
            raise aiohttp.ClientConnectionError(message)
        async with self._session.post(self._target, data=body, headers={"Content-Type": _JSON}) as response:
            return await response.read()

    async def _bend(self, asked: Any) -> Any:
        head = int(
            (await self._call({"jsonrpc": "2.0", "id": 0, "method": "eth_blockNumber", "params": []}))["result"], 16
        )
        seen = max(0, head - self.behind)
        if isinstance(asked, list):
            return [await self._bend_one(one, seen) for one in asked]
        return await self._bend_one(asked, seen)

    async def _bend_one(self, request: lag.Message, head: int) -> lag.Message:
        if self.wrong_chain_id is not None and request.get("method") in {"eth_chainId", "net_version"}:
            said = hex(self.wrong_chain_id) if request["method"] == "eth_chainId" else str(self.wrong_chain_id)
            return {"jsonrpc": "2.0", "id": request.get("id"), "result": said}
        if not self.behind:
            return await self._call(request)
        passed = lag.ask(request, head)
        if passed is None:
            return lag.unknown(request)
        return lag.answer(request, await self._call(passed), head)

    async def _call(self, request: lag.Message) -> lag.Message:
        loaded: lag.Message = orjson.loads(await self._forward(orjson.dumps(request)))
        return loaded
