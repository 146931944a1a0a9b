"""A scripted JSON-RPC server: real HTTP on its own port, with any answers, correct or not."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from chain.node.config import NodeConfig

SECRET = "k3y-that-must-never-be-seen"


class Refusal(Exception):
    """Raised by a function in `results` to answer with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message}


Handler = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


class FakeNode:
    """Answer from `results` (a value, or a function of the params); `errors` and `raw` take precedence."""

    def __init__(self, provider: str) -> None:
        """Prepare a node of `provider`; nothing listens before `start`."""
        self.provider = provider
        self.results: dict[str, Any] = {
            "eth_chainId": hex(31611),
            "eth_blockNumber": hex(100),
            "eth_getBlockByNumber": lambda params: {"number": params[0], "hash": "0x" + "34" * 32},
        }
        self.errors: dict[str, dict[str, Any]] = {}
        self.raw: dict[str, Handler] = {}
        self.seen: Counter[str] = Counter()
        self.asked: list[tuple[str, list[Any]]] = []
        self.batches: list[int] = []
        self.batch: Callable[[list[dict[str, Any]]], web.StreamResponse] | None = None
        """Returns the response to a batch in place of its answers."""
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self.server = TestServer(app)

    async def start(self) -> None:
        """Start listening."""
        await self.server.start_server()

    async def stop(self) -> None:
        """Stop listening, so that connections are refused."""
        await self.server.close()

    @property
    def config(self) -> NodeConfig:
        """The node's URL, with a secret in path and query."""
        url = f"http://127.0.0.1:{self.server.port}/{SECRET}/mezo/rpc?token={SECRET}"
        return NodeConfig(self.provider, self.provider, url)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        call = orjson.loads(await request.read())
        if isinstance(call, list):
            self.batches.append(len(call))
            answers = [self._reply(request) for request in call]
            return web.json_response(answers) if self.batch is None else self.batch(answers)
        if call["method"] in self.raw:
            self._record(call)
            return await self.raw[call["method"]](request, call)
        return web.json_response(self._reply(call))

    def _record(self, call: dict[str, Any]) -> None:
        self.seen[call["method"]] += 1
        self.asked.append((call["method"], call["params"]))

    def _reply(self, call: dict[str, Any]) -> dict[str, Any]:
        self._record(call)
        method, params = call["method"], call["params"]
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": call["id"]}
        if method in self.errors:
            answer["error"] = self.errors[method]
        else:
            result = self.results.get(method)
            try:
                answer["result"] = result(params) if callable(result) else result
            except Refusal as refusal:
                answer["error"] = refusal.error
        return answer
