"""A proxy in front of a node. Three proxies for one node imitate three providers, and each can be made to misbehave."""

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


async def _preflight(_request: web.Request) -> web.Response:
    return web.Response(status=204)


async def _allow_pages(_request: web.Request, response: web.StreamResponse) -> None:
    """Let pages read the answers, as public nodes do, so that a dApp can use this node from its own origin."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Headers"] = "Content-Type"


class NodeProxy:
    """Forwards JSON-RPC to a node, on its own port. The switches may be set at any time, from any thread.

    `down`            connections are closed without a response; after `stop` they are refused.
    `delay`           seconds before a response.
    `wrong_chain_id`  the result of eth_chainId and net_version; None for the true one.
    `behind`          by how many blocks all responses lag behind the head.
    """

    def __init__(self, name: str) -> None:
        """Prepare a proxy; `name` is the provider that it imitates."""
        self.name = name
        self.down = False
        self.delay = 0.0
        self.wrong_chain_id: int | None = None
        self.behind = 0
        self.calls: Counter[str] = Counter()
        """The number of requests by method, including those that were refused."""
        self._port: int | None = None
        self._target = ""
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """The proxy's URL; its port is chosen at the first `start` and kept. Raises RuntimeError before that."""
        if self._port is None:
            raise RuntimeError(f"the proxy {self.name} has not been started")
        return f"http://127.0.0.1:{self._port}"

    def clear_faults(self) -> None:
        """Turn all switches off."""
        self.down, self.delay, self.wrong_chain_id, self.behind = False, 0.0, None, 0

    async def start(self, target: str) -> None:
        """Listen, and forward to the node at `target`. Raises OSError if the port kept from an earlier start is in use."""
        self._target = target
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        app = web.Application(client_max_size=_BODY_BYTES)
        app.router.add_post("/{path:.*}", self._serve)
        app.router.add_options("/{path:.*}", _preflight)
        app.on_response_prepare.append(_allow_pages)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        try:
            await self._runner.setup()
            self._port = self._port or free_port()
            await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening; the next `start` uses the same port. Do nothing if the proxy is not running."""
        runner, self._runner = self._runner, None
        session, self._session = self._session, None
        if runner is not None:
            await runner.cleanup()
        if session is not None:
            await session.close()

    async def _serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            message = orjson.loads(body)
        except orjson.JSONDecodeError:
            return web.json_response(
                {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}
            )
        requests = message if isinstance(message, list) else [message]
        self.calls.update(str(call.get("method")) for call in requests)
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.down:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        try:
            if self.wrong_chain_id is None and not self.behind:
                return web.Response(body=await self._forward(body), content_type=_JSON)
            return web.Response(body=orjson.dumps(await self._misbehave(message)), content_type=_JSON)
        except aiohttp.ClientError:
            return web.Response(status=502)

    async def _forward(self, body: bytes) -> bytes:
        if self._session is None:
            raise aiohttp.ClientConnectionError("the proxy is stopping")
        async with self._session.post(self._target, data=body, headers={"Content-Type": _JSON}) as response:
            return await response.read()

    async def _misbehave(self, message: Any) -> Any:
        """Return the changed response to one request or to a batch."""
        true_head = int(
            (await self._call({"jsonrpc": "2.0", "id": 0, "method": "eth_blockNumber", "params": []}))["result"], 16
        )
        head = max(0, true_head - self.behind)
        if isinstance(message, list):
            return [await self._changed_response(request, head) for request in message]
        return await self._changed_response(message, head)

    async def _changed_response(self, request: lag.Message, head: int) -> lag.Message:
        if self.wrong_chain_id is not None and request.get("method") in {"eth_chainId", "net_version"}:
            is_hex = request["method"] == "eth_chainId"
            result = hex(self.wrong_chain_id) if is_hex else str(self.wrong_chain_id)
            return {"jsonrpc": "2.0", "id": request.get("id"), "result": result}
        if not self.behind:
            return await self._call(request)
        limited = lag.limit_request(request, head)
        if limited is None:
            return lag.unknown_block(request)
        return lag.limit_response(request, await self._call(limited), head)

    async def _call(self, request: lag.Message) -> lag.Message:
        response: lag.Message = orjson.loads(await self._forward(orjson.dumps(request)))
        return response
