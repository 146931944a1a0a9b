"""Compare the providers' answers about one block, because a node that forges answers is found only by comparison.

A contradicting node is quarantined, as in every other quorum read.
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
"""Seconds that a comparison waits for the last answer. It does not end with a decided vote, because it must find contradicting nodes."""
NEAR: Final = 64
"""How many blocks a provider may be behind to count when the block to compare is chosen."""
_DECIMALS: Final = 18


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A node that contradicts the others. If `node` is None, the providers differ, and no answer has enough of them."""

    node: str | None
    about: str
    answer: str
    others: tuple[str, ...]
    agreed_answer: str

    def __str__(self) -> str:
        """Return the contradiction as a sentence for people."""
        others = ", ".join(self.others)
        if self.node is None:
            return f"{others} do not agree on {self.about}, and none has enough others on its side"
        return f"{self.node} contradicts {others}: {self.about} is {self.answer} to it and {self.agreed_answer} to them"


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """The result of a comparison. `block` is None if too few providers report a newest block, or no token is configured."""

    block: int | None
    agreed: tuple[str, ...] = ()
    """Descriptions of the answers that enough providers agree on, such as `block 1234`."""
    contradictions: tuple[Contradiction, ...] = ()

    @property
    def is_decided(self) -> bool:
        """Whether enough providers agree on at least one answer, and no other was contested without a majority."""
        return bool(self.agreed) and all(contradiction.node is not None for contradiction in self.contradictions)


@dataclass(frozen=True, slots=True)
class _Topic:
    about: str
    method: str
    params: list[Any]
    key: Callable[[Any], Hashable]
    format: Callable[[Any], str]


async def cross_check(pool: Pool, token: Address, wallet: Address | None) -> CrossCheck:
    """Compare all providers' answers about the newest block that all of them have reached, except those far behind.

    Compared are the block's hash and transactions, the token balance of `wallet`, and the receipt of the first transaction: three calls to
    each provider at most. Never raises for what nodes do.
    """
    await pool.refresh()
    try:
        best = pool.agreed_head()
    except NoAgreement:
        return CrossCheck(None)
    block = min(head for head in pool.heads(trusted=False).values() if head >= best - NEAR)
    batcher = pool.batcher()
    topics = [_block(block)] + ([] if wallet is None else [_balance(token, wallet, block)])
    answers = await asyncio.gather(*(_ask(pool, topic, batcher) for topic in topics))
    agreed = answers[0][0]
    if agreed is not None and isinstance(agreed.key, _Block) and agreed.key.transactions:
        topics.append(_receipt(agreed.key.transactions[0], block))
        answers.append(await _ask(pool, topics[-1], batcher))
    return CrossCheck(
        block,
        tuple(topic.about for topic, (answer, _) in zip(topics, answers, strict=True) if answer is not None),
        tuple(contradiction for _, contradictions in answers for contradiction in contradictions),
    )


async def _ask(pool: Pool, topic: _Topic, batcher: Batcher) -> tuple[Agreed | None, list[Contradiction]]:
    """Return the agreed answer or None, and the nodes that contradict it."""
    try:
        agreed = await pool.quorum(topic.method, topic.params, key=topic.key, batcher=batcher, grace=PATIENCE)
    except CallReverted:
        return None, []
    except NoAgreement as error:
        split = Contradiction(None, topic.about, "", tuple(sorted(error.answered)), "")
        return None, [split] if error.reason == "dissent" else []
    disagreements = [(node.name, node.disagreements.find(topic.method, topic.params)) for node in pool.nodes]
    return agreed, [
        Contradiction(
            name,
            topic.about,
            REFUSED if disagreement.answer == REFUSED else topic.format(disagreement.answer),
            agreed.agreed_by,
            topic.format(agreed.key),
        )
        for name, disagreement in disagreements
        if disagreement is not None
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
            raise ValueError("another block")
        return _Block(hash32(raw["hash"]), tuple(hash32(tx_hash) for tx_hash in raw["transactions"]))

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
    def described(receipt: Receipt) -> str:
        outcome = "a success" if receipt.succeeded else "a failure"
        return f"{outcome} with {len(receipt.logs)} events ({keccak(repr(receipt).encode()).hex()[:8]})"

    return _Topic(
        f"the receipt of {tx_hash} in block {block}",
        "eth_getTransactionReceipt",
        [tx_hash],
        lambda raw: parse_receipt(raw, tx_hash),
        described,
    )
