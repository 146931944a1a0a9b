"""A model of a chain and of those who tell of it: blocks with or without the transfer, branches that are taken back,
honest providers that lag, and liars.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import aiohttp

from tests.chain.receipts import OTHER_TOKEN, STRANGER, log, receipt
from tests.chain.scripted import Late, Raw

START = 90
REALITIES: dict[str, Callable[[int, str], Any]] = {
    "paid": lambda block, block_hash: receipt(log(block=block), block=block, block_hash=block_hash),
    "less": lambda block, block_hash: receipt(log(4, block=block), block=block, block_hash=block_hash),
    "reverted": lambda block, block_hash: receipt(status=0, block=block, block_hash=block_hash),
}
OTHER_HASH = "0x" + "99" * 32
FORGED: dict[str, Callable[[int], Any]] = {
    "as it should be": lambda block: receipt(log(block=block), block=block),
    "no log": lambda block: receipt(block=block),
    "less": lambda block: receipt(log(4, block=block), block=block),
    "recipient": lambda block: receipt(log(recipient=STRANGER, block=block), block=block),
    "token": lambda block: receipt(log(token=OTHER_TOKEN, block=block), block=block),
    "another block": lambda block: receipt(log(block=block), block=block, block_hash=OTHER_HASH),
    "an old block": lambda block: receipt(log(block=block - 9), block=block - 9),
    "reverted": lambda block: receipt(status=0, block=block),
}
SICK: dict[str, Callable[[], Any]] = {
    "html": lambda: Raw(b"<html>busy</html>"),
    "truncated": lambda: Raw(b'{"jsonrpc":"2.0","id":1,"result":{"blockHash":"0x'),
    "another id": lambda: Raw(b'{"jsonrpc":"2.0","id":999999,"result":"0x1"}'),
    "429": lambda: Raw(429),
    "502": lambda: Raw(502),
    "reset": lambda: Raw(aiohttp.ClientPayloadError()),
    "hang": lambda: Raw(b"", after=1000.0),
    "error": lambda: Raw(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"invalid nonce"}}'),
}
WORDS = ("truth", "null", *FORGED, *SICK)
HEADS = ("truth", "stale", "boast", "wrong chain")


@dataclass(frozen=True)
class Block:
    """One block of one branch, with what became of the transaction in it, if it is there."""

    number: int
    hash: str
    holds: str | None = None


@dataclass
class Mood:
    """How a provider tells what it knows: `lag` blocks behind, `late` seconds, and, of a liar, which words it twists."""

    lag: int = 0
    late: float = 0.0
    word: str = "truth"
    head: str = "truth"


@dataclass
class World:
    """The chain as it is, as each provider has it, and what honest ones have told of."""

    providers: tuple[str, ...]
    chain: list[Block] = field(default_factory=list)
    moods: dict[str, Mood] = field(default_factory=dict)
    hurried: bool = False
    """No answer takes time: a hang is given up at once."""
    told: set[tuple[str, str]] = field(default_factory=set)
    """What honest providers have in their own branch, as (block hash, what became of the transaction)."""
    _branches: int = 0
    _has: dict[str, list[Block]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """A few blocks, everyone in step."""
        self.chain = [self._block(START + place) for place in range(3)]
        self.moods = {name: Mood() for name in self.providers}
        self.sync()

    def grow(self, holds: str | None = None) -> None:
        """One more block."""
        self.chain.append(self._block(self.chain[-1].number + 1, holds))
        self.sync()

    def reorg(self, depth: int, holds: tuple[str | None, ...]) -> None:
        """Take the last blocks back, and put as many others in their place: who lags may stay on the branch that is gone."""
        del self.chain[-min(depth, len(self.chain) - 1) :]
        for content in holds[:depth]:
            self.chain.append(self._block(self.chain[-1].number + 1, None if self.mined else content))
        self.sync()

    @property
    def mined(self) -> Block | None:
        """The block that holds the transaction, in the chain as it is."""
        return next((block for block in self.chain if block.holds), None)

    def sync(self) -> None:
        """Everyone but those who lag takes over the chain as it is."""
        for name in self.providers:
            mood = self.moods[name]
            if mood.lag == 0 or name not in self._has:
                self._has[name] = list(self.chain)
            if mood.word == "truth":
                self.told |= {(block.hash, block.holds) for block in self._has[name] if block.holds}

    async def play(self) -> None:
        """Make it so; nothing to do here, the model is all there is."""

    def speak(self, host: str, method: str, params: list[Any]) -> Any:
        """What a provider answers."""
        mood, has = self.moods[host], self._has[host]
        if method == "eth_chainId":
            return hex(1 if mood.head == "wrong chain" else 31611)
        if mood.word in SICK:
            sick = SICK[mood.word]()
            return Raw(TimeoutError()) if self.hurried and sick.after else sick
        said = self._said(mood, has, method, params)
        return said if self.hurried else Late(said, mood.late)

    def _said(self, mood: Mood, has: list[Block], method: str, params: list[Any]) -> Any:
        match method:
            case "eth_blockNumber":
                return hex(has[-1].number + {"stale": -30, "boast": 10**6}.get(mood.head, 0))
            case "eth_getLogs":
                told = self._receipt(mood, has) or {"logs": []}
                first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
                # As mezod does: nothing at all where the range goes beyond its head.
                honest = mood.word in {"truth", "null"}
                known = last <= has[-1].number or not honest
                return [one for one in told["logs"] if known and first <= int(one["blockNumber"], 16) <= last]
            case "eth_getBlockByNumber":
                if mood.word == "null":
                    return None
                number = int(params[0], 16)
                if number < START:
                    return {"number": hex(number), "hash": f"0x{number:064x}"}
                block = next((one for one in has if one.number == number), None)
                return block and {"number": hex(number), "hash": OTHER_HASH if mood.word in FORGED else block.hash}
            case _:
                return self._receipt(mood, has)

    def _receipt(self, mood: Mood, has: list[Block]) -> Any:
        block = next((one for one in has if one.holds), None)
        if mood.word == "null":
            return None
        if mood.word in FORGED:
            return _forged(mood.word, block.number if block else has[-1].number - 1)
        return None if block is None or block.holds is None else _real(block.holds, block.number, block.hash)

    def _block(self, number: int, holds: str | None = None) -> Block:
        self._branches += 1
        return Block(number, f"0x{self._branches:064x}", holds)


@cache
def _real(holds: str, number: int, block_hash: str) -> Any:
    return REALITIES[holds](number, block_hash)


@cache
def _forged(word: str, number: int) -> Any:
    return FORGED[word](number)
