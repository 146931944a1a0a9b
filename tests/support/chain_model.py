"""A model of a chain and of the nodes that report it: blocks with or without the transfer, reorganizations, correct nodes
that lag, and nodes that give wrong answers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import aiohttp

from tests.support.receipts import OTHER_TOKEN, STRANGER, log, receipt
from tests.support.scripted_transport import Late, Raw

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
BROKEN: dict[str, Callable[[], Any]] = {
    "html": lambda: Raw(b"<html>busy</html>"),
    "truncated": lambda: Raw(b'{"jsonrpc":"2.0","id":1,"result":{"blockHash":"0x'),
    "another id": lambda: Raw(b'{"jsonrpc":"2.0","id":999999,"result":"0x1"}'),
    "429": lambda: Raw(429),
    "502": lambda: Raw(502),
    "reset": lambda: Raw(aiohttp.ClientPayloadError()),
    "hang": lambda: Raw(b"", after=1000.0),
    "error": lambda: Raw(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"invalid nonce"}}'),
}
ANSWERS = ("truth", "null", *FORGED, *BROKEN)
HEADS = ("truth", "stale", "boast", "wrong chain")


@dataclass(frozen=True)
class Block:
    """One block of one branch; `holds` is the outcome of the transaction if it is in the block."""

    number: int
    hash: str
    holds: str | None = None


@dataclass
class Behaviour:
    """How a provider answers: `lag` blocks behind, `late` seconds, and which answers and heads it forges."""

    lag: int = 0
    late: float = 0.0
    answer: str = "truth"
    head: str = "truth"


@dataclass
class ChainModel:
    """The true chain, the chain as each provider has it, and the outcomes that correct providers have seen."""

    providers: tuple[str, ...]
    chain: list[Block] = field(default_factory=list)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    hurried: bool = False
    """Answers take no time; a hang is a timeout at once."""
    seen: set[tuple[str, str]] = field(default_factory=set)
    """Outcomes in the branches of correct providers, as (block hash, outcome of the transaction)."""
    _branches: int = 0
    _has: dict[str, list[Block]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start with a few blocks, which all providers have."""
        self.chain = [self._block(START + place) for place in range(3)]
        self.behaviours = {name: Behaviour() for name in self.providers}
        self.sync()

    def grow(self, holds: str | None = None) -> None:
        """Add one block."""
        self.chain.append(self._block(self.chain[-1].number + 1, holds))
        self.sync()

    def reorg(self, depth: int, holds: tuple[str | None, ...]) -> None:
        """Replace the last blocks by as many others. Providers that lag may stay on the abandoned branch."""
        del self.chain[-min(depth, len(self.chain) - 1) :]
        for content in holds[:depth]:
            self.chain.append(self._block(self.chain[-1].number + 1, None if self.mined else content))
        self.sync()

    @property
    def mined(self) -> Block | None:
        """The block of the true chain that contains the transaction."""
        return next((block for block in self.chain if block.holds), None)

    def sync(self) -> None:
        """Give the true chain to all providers that do not lag."""
        for name in self.providers:
            behaviour = self.behaviours[name]
            if behaviour.lag == 0 or name not in self._has:
                self._has[name] = list(self.chain)
            if behaviour.answer == "truth":
                self.seen |= {(block.hash, block.holds) for block in self._has[name] if block.holds}

    async def play(self) -> None:
        """Apply the model; nothing to do here, because there is no real node."""

    def speak(self, host: str, method: str, params: list[Any]) -> Any:
        """Return a provider's answer to one call."""
        behaviour, has = self.behaviours[host], self._has[host]
        if method == "eth_chainId":
            return hex(1 if behaviour.head == "wrong chain" else 31611)
        if behaviour.answer in BROKEN:
            broken = BROKEN[behaviour.answer]()
            return Raw(TimeoutError()) if self.hurried and broken.after else broken
        answer = self._answer_to(behaviour, has, method, params)
        return answer if self.hurried else Late(answer, behaviour.late)

    def _answer_to(self, behaviour: Behaviour, has: list[Block], method: str, params: list[Any]) -> Any:
        match method:
            case "eth_blockNumber":
                return hex(has[-1].number + {"stale": -30, "boast": 10**6}.get(behaviour.head, 0))
            case "eth_getLogs":
                receipt = self._receipt(behaviour, has) or {"logs": []}
                first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
                # As mezod does: nothing at all where the range goes beyond its head.
                is_correct = behaviour.answer in {"truth", "null"}
                known = last <= has[-1].number or not is_correct
                return [one for one in receipt["logs"] if known and first <= int(one["blockNumber"], 16) <= last]
            case "eth_getBlockByNumber":
                if behaviour.answer == "null":
                    return None
                number = int(params[0], 16)
                if number < START:
                    return {"number": hex(number), "hash": f"0x{number:064x}"}
                block = next((one for one in has if one.number == number), None)
                return block and {
                    "number": hex(number),
                    "hash": OTHER_HASH if behaviour.answer in FORGED else block.hash,
                }
            case _:
                return self._receipt(behaviour, has)

    def _receipt(self, behaviour: Behaviour, has: list[Block]) -> Any:
        block = next((one for one in has if one.holds), None)
        if behaviour.answer == "null":
            return None
        if behaviour.answer in FORGED:
            return _forged(behaviour.answer, block.number if block else has[-1].number - 1)
        return None if block is None or block.holds is None else _real(block.holds, block.number, block.hash)

    def _block(self, number: int, holds: str | None = None) -> Block:
        self._branches += 1
        return Block(number, f"0x{self._branches:064x}", holds)


@cache
def _real(holds: str, number: int, block_hash: str) -> Any:
    return REALITIES[holds](number, block_hash)


@cache
def _forged(kind: str, number: int) -> Any:
    return FORGED[kind](number)
