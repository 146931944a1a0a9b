"""A proxy before a real node that forwards calls and changes the answers that a test selects.

Its faults are those known of Mezo's nodes and of hosted gateways, and those that would steal money.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from chain.abi.erc20 import address_topic
from chain.node.config import NodeConfig

ALL = "*"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class ProxiedCall:
    """One call to the proxy; `truth` returns the node's own answer."""

    request: web.Request
    call: dict[str, Any]
    truth: Callable[[], Awaitable[dict[str, Any]]]


Fault = Callable[[ProxiedCall], Awaitable[web.StreamResponse]]
BatchFault = Callable[[list[dict[str, Any]]], Any]
"""Returns what is sent instead of the answers to a batch."""


class FaultyProxy:
    """The node of one provider. `always` and `then` set faults by method. Faults of `then` come first, one for each call; None is no fault."""

    def __init__(self, name: str, target: str) -> None:
        """Prepare a proxy for the node at `target`; nothing listens before `start`."""
        self.name = name
        self.calls: Counter[str] = Counter()
        self.requests = 0
        self.batch: BatchFault | None = None
        self._target = target
        self._always: dict[str, Fault] = {}
        self._next: defaultdict[str, deque[Fault | None]] = defaultdict(deque)
        self._session: aiohttp.ClientSession | None = None
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/", self._serve)
        self._server = TestServer(app)

    @property
    def config(self) -> NodeConfig:
        """The proxy as a node of its own provider."""
        return NodeConfig(self.name, self.name, f"http://127.0.0.1:{self._server.port}/")

    def always(self, fault: Fault, *methods: str) -> None:
        """Apply this fault to every call of these methods, or of all methods if none is named."""
        for method in methods or (ALL,):
            self._always[method] = fault

    def then(self, *faults: Fault | None, method: str) -> None:
        """Apply these faults to the next calls of the method, one to each."""
        self._next[method].extend(faults)

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._always.clear()
        self._next.clear()
        self.batch = None

    async def start(self) -> None:
        """Start listening."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))
        await self._server.start_server()

    async def stop(self) -> None:
        """Stop listening, and close open connections."""
        await self._server.close()
        if self._session is not None:
            await self._session.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        body = orjson.loads(await request.read())
        if not isinstance(body, list):
            return await self._answer(request, body)
        answers = []
        for call in body:
            answer = await self._answer(request, call)
            if (
                not isinstance(answer, web.Response)
                or answer.status != 200
                or answer.content_type != "application/json"
            ):
                return answer  # a page or a broken connection replaces the whole batch
            assert isinstance(answer.body, bytes)
            try:
                answers.append(orjson.loads(answer.body))
            except orjson.JSONDecodeError:
                return answer
        return web.json_response(answers if self.batch is None else self.batch(answers))

    async def _answer(self, request: web.Request, call: dict[str, Any]) -> web.StreamResponse:
        method = call["method"]
        self.calls[method] += 1

        async def truth() -> dict[str, Any]:
            assert self._session is not None
            async with self._session.post(self._target, data=orjson.dumps(call), headers=JSON) as answer:
                body: dict[str, Any] = orjson.loads(await answer.read())
                return body

        waiting = self._next[method]
        fault = waiting.popleft() if waiting else self._always.get(method) or self._always.get(ALL)
        if fault is None:
            return web.json_response(await truth())
        return await fault(ProxiedCall(request, call, truth))


def bent(change: Callable[[Any], Any]) -> Fault:
    """Return the true result after `change`; null stays null."""

    async def respond(proxied: ProxiedCall) -> web.StreamResponse:
        answer = await proxied.truth()
        if answer.get("result") is not None:
            answer["result"] = change(answer["result"])
        return web.json_response(answer)

    return respond


def instead(result: Any) -> Fault:
    """Return this result whatever the call: null as for a receipt that is not indexed, `[]` as for pruned blocks."""

    async def respond(proxied: ProxiedCall) -> web.StreamResponse:
        return web.json_response({"jsonrpc": "2.0", "id": proxied.call["id"], "result": result})

    return respond


def stale_head(blocks: int) -> Fault:
    """Return a head that lags by this many blocks."""
    return bent(lambda head: hex(max(0, int(head, 16) - blocks)))


def forged(*, logs: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], status: str | None = None) -> Fault:
    """Return the receipt with other logs, and with another status if one is given."""
    return bent(lambda one: {**one, "logs": logs(one["logs"]), **({"status": status} if status else {})})


def without_log() -> Fault:
    """Return a successful receipt without logs."""
    return forged(logs=lambda logs: [])


def reverted() -> Fault:
    """Return a receipt of a failed transaction."""
    return forged(logs=lambda logs: [], status="0x0")


def with_amount(units: int) -> Fault:
    """Return the receipt with another amount."""
    return forged(logs=lambda logs: [{**log, "data": "0x" + units.to_bytes(32, "big").hex()} for log in logs])


def with_recipient(recipient: str) -> Fault:
    """Return the receipt with another recipient."""
    return forged(logs=lambda logs: [{**log, "topics": [*log["topics"][:2], address_topic(recipient)]} for log in logs])


def with_token(token: str) -> Fault:
    """Return the receipt with another token."""
    return forged(logs=lambda logs: [{**log, "address": token.lower()} for log in logs])


def with_block_hash(block_hash: str) -> Fault:
    """Return the receipt with another block hash at the same height."""
    return bent(
        lambda one: {**one, "blockHash": block_hash, "logs": [{**log, "blockHash": block_hash} for log in one["logs"]]}
    )


def another_id() -> Fault:
    """Return the true answer to another call."""

    async def respond(proxied: ProxiedCall) -> web.StreamResponse:
        return web.json_response({**await proxied.truth(), "id": proxied.call["id"] + 1})

    return respond


def refused(code: int, message: str) -> Fault:
    """A JSON-RPC error."""

    async def respond(proxied: ProxiedCall) -> web.StreamResponse:
        return web.json_response(
            {"jsonrpc": "2.0", "id": proxied.call["id"], "error": {"code": code, "message": message}}
        )

    return respond
