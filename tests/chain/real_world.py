"""The model's world made so on a real node: its blocks are mined, its reorgs done, its transfer sent, and who tells of it are proxies.

Honest providers pass on what the node says, some a block behind; liars say what the model has them say.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from aiohttp import web

from onramp.dev.chain import lag
from onramp.dev.chain.rpc import Rpc
from tests.chain import failing, lying
from tests.chain.lying import Asked, Lie
from tests.chain.receipts import BUYER, TOKEN, TX, WALLET
from tests.chain.world import FORGED, OTHER_HASH, SICK, Block, Mood, World

HURRY: Final = 0.05
"""Of a model's second."""
SICK_LIES: Final[dict[str, Lie]] = {
    "html": failing.html(),
    "truncated": failing.truncated(),
    "another id": lying.another_id(),
    "429": failing.too_many("1"),
    "502": failing.html(502),
    "reset": failing.reset(),
    "hang": failing.hang(),
    "error": lying.refused(-32000, "invalid nonce"),
}
assert set(SICK_LIES) == set(SICK)


@dataclass(frozen=True)
class Pay:
    """The one transaction: its hash, its bytes, and whom it is between."""

    tx_hash: str
    raw: str
    token: str
    sender: str
    buyer: str


@dataclass
class RealWorld(World):
    """Plays on the node what happens to the model, when `play` is awaited."""

    rpc: Rpc | None = None
    pay: Pay | None = None
    first: int = 0
    """What has to be added to a block's number in the model."""
    _todo: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)
    _mined: Block | None = None
    head: int = 0

    def grow(self, holds: str | None = None) -> None:
        """One more block."""
        super().grow(holds)
        self._todo.append(lambda: self._mine(holds))

    def reorg(self, depth: int, holds: tuple[str | None, ...]) -> None:
        """Take the last blocks back, and put as many others in their place."""
        gone = min(depth, len(self.chain) - 1)
        put: list[str | None] = []
        # First of all to do, so that `mined` is the model's from here on.
        self._todo.append(lambda: self._reorg(gone, put))
        super().reorg(depth, holds)
        put += [block.holds for block in self.chain[-depth:]]

    @property
    def mined(self) -> Block | None:
        """The block that holds the transaction; as the node has it, once it was played."""
        return self._mined if not self._todo else super().mined

    def sync(self) -> None:
        """What has been true on the node was told of by honest providers."""
        if self._mined is not None and self._mined.holds is not None:
            self.told.add((self._mined.hash, self._mined.holds))

    async def play(self) -> None:
        """Do what has happened."""
        assert self.rpc is not None
        assert self.pay is not None
        while self._todo:
            await self._todo[0]()
            self._todo.pop(0)
        self.head = int(await self.rpc("eth_blockNumber"), 16)
        assert self.head == self.chain[-1].number + self.first, "the model and the node are apart"
        found = await self.rpc("eth_getTransactionReceipt", self.pay.tx_hash)
        held = super().mined
        assert (found is None) == (held is None), "the model and the node are apart"
        self._mined = held and Block(int(found["blockNumber"], 16), found["blockHash"], held.holds)
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

    def voice(self, name: str) -> Lie:
        """How this provider answers, in whatever mood it is when it is asked."""

        async def tell(asked: Asked) -> web.StreamResponse:
            mood, method = self.moods[name], asked.call["method"]
            await asyncio.sleep(mood.late * HURRY)
            if method == "eth_chainId":
                return _answer(asked, hex(1)) if mood.head == "wrong chain" else await _plain(asked)
            if mood.word in SICK_LIES:
                return await SICK_LIES[mood.word](asked)
            if method == "eth_blockNumber":
                behind = {"stale": 30, "boast": -(10**6)}.get(mood.head, 0) + mood.lag
                return _answer(asked, hex(self.head - behind))
            if mood.word == "null":
                return _answer(asked, [] if method == "eth_getLogs" else None)
            if mood.word in FORGED:
                return await self._forged(asked, mood)
            return await self._behind(asked, mood.lag)

        return tell

    async def _behind(self, asked: Asked, blocks: int) -> web.StreamResponse:
        if not blocks:
            return await _plain(asked)
        passed = lag.limit_request(asked.call, self.head - blocks)
        said = (
            lag.unknown_block(asked.call)
            if passed is None
            else lag.limit_response(asked.call, await asked.truth(), self.head - blocks)
        )
        return web.json_response(said)

    async def _forged(self, asked: Asked, mood: Mood) -> web.StreamResponse:
        assert self.pay is not None
        block = self._mined.number if self._mined else self.head - 1
        receipt = self._dressed(FORGED[mood.word](block))
        match asked.call["method"]:
            case "eth_getTransactionReceipt":
                return _answer(asked, receipt)
            case "eth_getLogs":
                query = asked.call["params"][0]
                first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
                return _answer(asked, [one for one in receipt["logs"] if first <= int(one["blockNumber"], 16) <= last])
            case "eth_getBlockByNumber":
                answer = await asked.truth()
                return web.json_response(
                    {**answer, "result": answer["result"] and {**answer["result"], "hash": OTHER_HASH}}
                )
            case _:
                return await _plain(asked)

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


def _answer(asked: Asked, result: Any) -> web.StreamResponse:
    return web.json_response({"jsonrpc": "2.0", "id": asked.call["id"], "result": result})


async def _plain(asked: Asked) -> web.StreamResponse:
    return web.json_response(await asked.truth())
