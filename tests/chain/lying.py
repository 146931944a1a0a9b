"""A liar's front door before a real node: forwards the truth, and bends what it was told to bend, call by call.

Its lies are those that are known of Mezo's nodes and of hosted gateways, and those that would steal.
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
class Asked:
    """One call, and the way to the node that knows the answer."""

    request: web.Request
    call: dict[str, Any]
    truth: Callable[[], Awaitable[dict[str, Any]]]


Lie = Callable[[Asked], Awaitable[web.StreamResponse]]
BatchLie = Callable[[list[dict[str, Any]]], Any]
"""Makes of the answers to a batch what is sent instead."""


class LyingProxy:
    """One provider. `always` and `then` script it by method; `then` is used up first, one lie a call, None for the truth."""

    def __init__(self, name: str, target: str) -> None:
        """Stand before the node at `target`; nothing listens before `start`."""
        self.name = name
        self.calls: Counter[str] = Counter()
        self.requests = 0
        self.batch: BatchLie | None = None
        self._target = target
        self._always: dict[str, Lie] = {}
        self._next: defaultdict[str, deque[Lie | None]] = defaultdict(deque)
        self._session: aiohttp.ClientSession | None = None
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/", self._serve)
        self._server = TestServer(app)

    @property
    def config(self) -> NodeConfig:
        """Where it listens."""
        return NodeConfig(self.name, self.name, f"http://127.0.0.1:{self._server.port}/")

    def always(self, lie: Lie, *methods: str) -> None:
        """Tell this lie whenever one of the methods is asked for; every method where none is named."""
        for method in methods or (ALL,):
            self._always[method] = lie

    def then(self, *lies: Lie | None, method: str) -> None:
        """Tell these, one for each next call of the method."""
        self._next[method].extend(lies)

    def honest(self) -> None:
        """Forget every lie."""
        self._always.clear()
        self._next.clear()
        self.batch = None

    async def start(self) -> None:
        """Listen."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))
        await self._server.start_server()

    async def stop(self) -> None:
        """Stop listening; what still hangs is cut off."""
        await self._server.close()
        if self._session is not None:
            await self._session.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        asked = orjson.loads(await request.read())
        if not isinstance(asked, list):
            return await self._answer(request, asked)
        answers = []
        for call in asked:
            answer = await self._answer(request, call)
            if (
                not isinstance(answer, web.Response)
                or answer.status != 200
                or answer.content_type != "application/json"
            ):
                return answer  # nobody answers a part of a batch with a page, or by hanging up
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
        lie = waiting.popleft() if waiting else self._always.get(method) or self._always.get(ALL)
        if lie is None:
            return web.json_response(await truth())
        return await lie(Asked(request, call, truth))


def bent(change: Callable[[Any], Any]) -> Lie:
    """The true result, changed; a null stays null."""

    async def tell(asked: Asked) -> web.StreamResponse:
        answer = await asked.truth()
        if answer.get("result") is not None:
            answer["result"] = change(answer["result"])
        return web.json_response(answer)

    return tell


def instead(result: Any) -> Lie:
    """Another result, whatever was asked: null for a receipt that is not indexed, `[]` for blocks that are pruned."""

    async def tell(asked: Asked) -> web.StreamResponse:
        return web.json_response({"jsonrpc": "2.0", "id": asked.call["id"], "result": result})

    return tell


def stale_head(blocks: int) -> Lie:
    """A head that lags."""
    return bent(lambda head: hex(max(0, int(head, 16) - blocks)))


def forged(*, logs: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], status: str | None = None) -> Lie:
    """A receipt with other logs, and another status where one is given."""
    return bent(lambda one: {**one, "logs": logs(one["logs"]), **({"status": status} if status else {})})


def without_log() -> Lie:
    """A receipt that succeeded and moved nothing."""
    return forged(logs=lambda logs: [])


def reverted() -> Lie:
    """A receipt that says the transaction failed."""
    return forged(logs=lambda logs: [], status="0x0")


def with_amount(units: int) -> Lie:
    """A receipt that moved another amount."""
    return forged(logs=lambda logs: [{**log, "data": "0x" + units.to_bytes(32, "big").hex()} for log in logs])


def with_recipient(recipient: str) -> Lie:
    """A receipt that paid somebody else."""
    return forged(logs=lambda logs: [{**log, "topics": [*log["topics"][:2], address_topic(recipient)]} for log in logs])


def with_token(token: str) -> Lie:
    """A receipt in another token."""
    return forged(logs=lambda logs: [{**log, "address": token.lower()} for log in logs])


def with_block_hash(block_hash: str) -> Lie:
    """A receipt of another block of the same height."""
    return bent(
        lambda one: {**one, "blockHash": block_hash, "logs": [{**log, "blockHash": block_hash} for log in one["logs"]]}
    )


def another_id() -> Lie:
    """The true answer, to a question nobody asked."""

    async def tell(asked: Asked) -> web.StreamResponse:
        return web.json_response({**await asked.truth(), "id": asked.call["id"] + 1})

    return tell


def refused(code: int, message: str) -> Lie:
    """A JSON-RPC error."""

    async def tell(asked: Asked) -> web.StreamResponse:
        return web.json_response(
            {"jsonrpc": "2.0", "id": asked.call["id"], "error": {"code": code, "message": message}}
        )

    return tell
