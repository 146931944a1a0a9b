"""What the providers say of one block, laid side by side: a liar is found only by comparing.

Whoever says otherwise is set aside, as whenever enough others contradict it.
"""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final

from chain.abi.erc20 import encode_balance_of
from chain.errors import CallReverted, NoAgreement
from chain.node.batch import Batcher
from chain.node.disagreements import REFUSED
from chain.pool.pool import Agreed, Pool
from chain.reads.receipts import Receipt, parse_receipt
from chain.types import Address, data_bytes, hash32, keccak, quantity, to_hex
from kit.money import format_units

PATIENCE: Final = 3.0
"""Seconds to wait for the last answer: the point is to find the liar, so a decided vote is not enough."""
NEAR: Final = 64
"""Blocks: a provider further behind than this does not hold the comparison back to its own head."""
_DECIMALS: Final = 18


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A node against the others; where `node` is None so many against so many that nobody is believed."""

    node: str | None
    about: str
    said: str
    others: tuple[str, ...]
    they_say: str

    def __str__(self) -> str:
        """A sentence for people."""
        others = ", ".join(self.others)
        if self.node is None:
            return f"{others} do not agree on {self.about}, and nobody has enough others on its side"
        return f"{self.node} contradicts {others}: {self.about} is {self.said} to it and {self.they_say} to them"


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """What came of it; `block` None where too few providers tell of a block to compare at."""

    block: int | None
    agreed: tuple[str, ...] = ()
    """What enough providers said the same of."""
    contradictions: tuple[Contradiction, ...] = ()

    @property
    def is_decided(self) -> bool:
        """Enough providers say the same of everything, whoever says otherwise."""
        return bool(self.agreed) and all(one.node is not None for one in self.contradictions)


@dataclass(frozen=True, slots=True)
class _Topic:
    about: str
    method: str
    params: list[Any]
    key: Callable[[Any], Hashable]
    shown: Callable[[Any], str]


async def cross_check(pool: Pool, token: Address, wallet: Address | None) -> CrossCheck:
    """Compare what every provider says of the newest block that all who keep up have reached.

    Asked are its hash, what `wallet` held of the token, and the receipt of its first transaction: three questions at
    the most. Never raises for nodes.
    """
    await pool.refresh()
    try:
        best = pool.agreed_head()
    except NoAgreement:
        return CrossCheck(None)
    block = min(head for head in pool.heads(trusted=False).values() if head >= best - NEAR)
    batcher = pool.batcher()
    topics = [_block(block)] + ([] if wallet is None else [_balance(token, wallet, block)])
    answers = await asyncio.gather(*(_asked(pool, topic, batcher) for topic in topics))
    agreed = answers[0][0]
    if agreed is not None and isinstance(agreed.key, _Block) and agreed.key.transactions:
        topics.append(_receipt(agreed.key.transactions[0], block))
        answers.append(await _asked(pool, topics[-1], batcher))
    return CrossCheck(
        block,
        tuple(topic.about for topic, (answer, _) in zip(topics, answers, strict=True) if answer is not None),
        tuple(one for _, contradictions in answers for one in contradictions),
    )


async def _asked(pool: Pool, topic: _Topic, batcher: Batcher) -> tuple[Agreed | None, list[Contradiction]]:
    """What is agreed, None where nothing is, and who contradicts it."""
    try:
        agreed = await pool.quorum(topic.method, topic.params, key=topic.key, batcher=batcher, grace=PATIENCE)
    except CallReverted:
        return None, []
    except NoAgreement as error:
        split = Contradiction(None, topic.about, "", tuple(sorted(error.answered)), "")
        return None, [split] if error.reason == "dissent" else []
    against = [(node.name, node.disagreements.find(topic.method, topic.params)) for node in pool.nodes]
    return agreed, [
        Contradiction(
            name,
            topic.about,
            REFUSED if word.answer == REFUSED else topic.shown(word.answer),
            agreed.agreed_by,
            topic.shown(agreed.key),
        )
        for name, word in against
        if word is not None
    ]


@dataclass(frozen=True, slots=True)
class _Block:
    hash: str
    transactions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.hash} with {len(self.transactions)} transactions"


def _block(number: int) -> _Topic:
    def key(raw: Any) -> Hashable:
        if quantity(raw["number"]) != number:
            message = "another block"
            raise ValueError(message)
        return _Block(hash32(raw["hash"]), tuple(hash32(one) for one in raw["transactions"]))

    return _Topic(f"block {number}", "eth_getBlockByNumber", [hex(number), False], key, str)


def _balance(token: Address, wallet: Address, block: int) -> _Topic:
    call = {"to": token, "data": to_hex(encode_balance_of(wallet))}
    return _Topic(
        f"the MUSD that the hot wallet held at block {block}",
        "eth_call",
        [call, hex(block)],
        lambda raw: int.from_bytes(data_bytes(raw), "big"),
        lambda units: format_units(units, _DECIMALS),
    )


def _receipt(tx_hash: str, block: int) -> _Topic:
    def shown(receipt: Receipt) -> str:
        outcome = "a success" if receipt.succeeded else "a failure"
        return f"{outcome} with {len(receipt.logs)} events ({keccak(repr(receipt).encode()).hex()[:8]})"

    return _Topic(
        f"the receipt of {tx_hash} in block {block}",
        "eth_getTransactionReceipt",
        [tx_hash],
        lambda raw: parse_receipt(raw, tx_hash),
        shown,
    )
