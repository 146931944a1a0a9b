"""The chain model applied to a real node: its blocks are mined, its reorganizations made and its transfer sent; proxies are the providers.

Correct providers forward the node's answers, some a block behind; the others return the wrong answers that the model selects.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from aiohttp import web

from onramp.dev.chain import lag
from onramp.dev.chain.rpc import Rpc
from tests.support import faulty_proxy, wire_faults
from tests.support.chain_model import BROKEN, FORGED, OTHER_HASH, Behaviour, Block, ChainModel
from tests.support.faulty_proxy import Fault, ProxiedCall
from tests.support.receipts import BUYER, TOKEN, TX, WALLET

HURRY: Final = 0.05
"""Real seconds for a second of the model."""
BROKEN_FAULTS: Final[dict[str, Fault]] = {
    "html": wire_faults.html(),
    "truncated": wire_faults.truncated(),
    "another id": faulty_proxy.another_id(),
    "429": wire_faults.too_many("1"),
    "502": wire_faults.html(502),
    "reset": wire_faults.reset(),
    "hang": wire_faults.hang(),
    "error": faulty_proxy.refused(-32000, "invalid nonce"),
}
assert set(BROKEN_FAULTS) == set(BROKEN)


@dataclass(frozen=True)
class Pay:
    """The transaction of the model on the real node: its hash, its bytes, and its parties."""

    tx_hash: str
    raw: str
    token: str
    sender: str
    buyer: str


@dataclass
class RealChainModel(ChainModel):
    """A model whose changes `play` applies to the node."""

    rpc: Rpc | None = None
    pay: Pay | None = None
    first: int = 0
    """The difference between a block's number on the node and in the model."""
    _todo: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)
    _mined: Block | None = None
    head: int = 0

    def grow(self, holds: str | None = None) -> None:
        """Add one block."""
        super().grow(holds)
        self._todo.append(lambda: self._mine(holds))

    def reorg(self, depth: int, holds: tuple[str | None, ...]) -> None:
        """Replace the last blocks by as many others."""
        gone = min(depth, len(self.chain) - 1)
        put: list[str | None] = []
        # First of all to do, so that `mined` is the model's from here on.
        self._todo.append(lambda: self._reorg(gone, put))
        super().reorg(depth, holds)
        put += [block.holds for block in self.chain[-depth:]]

    @property
    def mined(self) -> Block | None:
        """The block that contains the transaction, as the node has it once `play` was awaited."""
        return self._mined if not self._todo else super().mined

    def sync(self) -> None:
        """Record the node's outcome as seen by correct providers."""
        if self._mined is not None and self._mined.holds is not None:
            self.seen.add((self._mined.hash, self._mined.holds))

    async def play(self) -> None:
        """Apply the pending changes to the node."""
        assert self.rpc is not None
        assert self.pay is not None
        while self._todo:
            await self._todo[0]()
            self._todo.pop(0)
        self.head = int(await self.rpc("eth_blockNumber"), 16)
        assert self.head == self.chain[-1].number + self.first, "the model and the node are apart"
        receipt = await self.rpc("eth_getTransactionReceipt", self.pay.tx_hash)
        held = super().mined
        assert (receipt is None) == (held is None), "the model and the node are apart"
        self._mined = held and Block(int(receipt["blockNumber"], 16), receipt["blockHash"], held.holds)
        self.sync()

    async def _mine(self, holds: str | None) -> None:
        assert self.rpc is not None
        assert self.pay is not None
        if holds:
            await self.rpc("eth_sendRawTransaction", self.pay.raw)
        await self.rpc("anvil_mine", "0x1")

    async def _reorg(self, gone: int, put: list[str | None]) -> None:
        assert self.rpc is not None
        assert self.pay is not None
        pairs = [[self.pay.raw, place] for place, holds in enumerate(put[:gone]) if holds]
        await self.rpc("anvil_reorg", gone, pairs)
        for holds in put[gone:]:
            await self._mine(holds)

    def voice(self, name: str) -> Fault:
        """Return the fault that makes a proxy answer as this provider behaves at the time of the call."""

        async def respond(proxied: ProxiedCall) -> web.StreamResponse:
            behaviour, method = self.behaviours[name], proxied.call["method"]
            await asyncio.sleep(behaviour.late * HURRY)
            if method == "eth_chainId":
                return _answer(proxied, hex(1)) if behaviour.head == "wrong chain" else await _plain(proxied)
            if behaviour.answer in BROKEN_FAULTS:
                return await BROKEN_FAULTS[behaviour.answer](proxied)
            if method == "eth_blockNumber":
                behind = {"stale": 30, "boast": -(10**6)}.get(behaviour.head, 0) + behaviour.lag
                return _answer(proxied, hex(self.head - behind))
            if behaviour.answer == "null":
                return _answer(proxied, [] if method == "eth_getLogs" else None)
            if behaviour.answer in FORGED:
                return await self._forged(proxied, behaviour)
            return await self._behind(proxied, behaviour.lag)

        return respond

    async def _behind(self, proxied: ProxiedCall, blocks: int) -> web.StreamResponse:
        if not blocks:
            return await _plain(proxied)
        passed = lag.limit_request(proxied.call, self.head - blocks)
        answer = (
            lag.unknown_block(proxied.call)
            if passed is None
            else lag.limit_response(proxied.call, await proxied.truth(), self.head - blocks)
        )
        return web.json_response(answer)

    async def _forged(self, proxied: ProxiedCall, behaviour: Behaviour) -> web.StreamResponse:
        assert self.pay is not None
        block = self._mined.number if self._mined else self.head - 1
        receipt = self._dressed(FORGED[behaviour.answer](block))
        match proxied.call["method"]:
            case "eth_getTransactionReceipt":
                return _answer(proxied, receipt)
            case "eth_getLogs":
                query = proxied.call["params"][0]
                first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
                return _answer(
                    proxied, [one for one in receipt["logs"] if first <= int(one["blockNumber"], 16) <= last]
                )
            case "eth_getBlockByNumber":
                answer = await proxied.truth()
                return web.json_response(
                    {**answer, "result": answer["result"] and {**answer["result"], "hash": OTHER_HASH}}
                )
            case _:
                return await _plain(proxied)

    def _dressed(self, receipt: Any) -> Any:
        assert self.pay is not None
        text = orjson.dumps(receipt).decode()
        for model, real in (
            (TX, self.pay.tx_hash),
            (TOKEN.lower(), self.pay.token.lower()),
            (WALLET[2:].lower(), self.pay.sender[2:].lower()),
            (BUYER[2:].lower(), self.pay.buyer[2:].lower()),
        ):
            text = text.replace(model, real)
        return orjson.loads(text)


def _answer(proxied: ProxiedCall, result: Any) -> web.StreamResponse:
    return web.json_response({"jsonrpc": "2.0", "id": proxied.call["id"], "result": result})


async def _plain(proxied: ProxiedCall) -> web.StreamResponse:
    return web.json_response(await proxied.truth())
