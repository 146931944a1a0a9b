"""Read receipts as enough providers agree on them, in a form that is equal between nodes."""

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chain.errors import NoAgreement
from chain.node.batch import Batcher
from chain.pool.pool import Agreed, Pool
from chain.types import BlockRef, data_bytes, hash32, quantity, to_checksum


@dataclass(frozen=True, slots=True)
class Receipt:
    """The relevant parts of a receipt, in a form that is equal between nodes.

    The transaction's index in its block is left out, because nodes differ in it. `cost` is the fee in wei that one node reports, which is
    not compared; None if it does not.
    """

    tx_hash: str
    block: BlockRef
    succeeded: bool
    logs: tuple[tuple[str, tuple[str, ...], bytes, int], ...]
    cost: int | None = field(default=None, compare=False, repr=False)


def parse_receipt(raw: Mapping[str, Any], tx_hash: str) -> Receipt:
    """Parse a receipt and check that it belongs to `tx_hash`. Raises ValueError, KeyError, TypeError if it is malformed."""
    block = BlockRef(quantity(raw["blockNumber"]), hash32(raw["blockHash"]))
    status = quantity(raw["status"])
    if hash32(raw["transactionHash"]) != tx_hash or status not in {0, 1}:
        raise ValueError("a receipt of another transaction, or without a status")
    hashes: dict[Any, str] = {}

    def parsed_hash(text: Any) -> str:
        # A receipt repeats few hashes many times: its own, its block's, and those of events, payers and recipients.
        if text not in hashes:
            hashes[text] = hash32(text)
        return hashes[text]

    logs = []
    for log in raw["logs"]:
        if (
            log.get("removed") is True
            or parsed_hash(log["transactionHash"]) != tx_hash
            or parsed_hash(log["blockHash"]) != block.hash
        ):
            raise ValueError("a log of another block or transaction")
        topics = tuple([parsed_hash(topic) for topic in log["topics"]])
        logs.append((to_checksum(log["address"].lower()), topics, data_bytes(log["data"]), quantity(log["logIndex"])))
    return Receipt(tx_hash, block, status == 1, tuple(sorted(logs, key=lambda log: log[3])), _cost(raw))


def _cost(raw: Mapping[str, Any]) -> int | None:
    try:
        return quantity(raw["gasUsed"]) * quantity(raw["effectiveGasPrice"])
    except (KeyError, ValueError):
        return None


async def agreed_receipt(pool: Pool, tx_hash: str, batcher: Batcher | None = None) -> tuple[Receipt, tuple[str, ...]]:
    """Return the receipt that enough providers agree on, and the names of these providers. Raises NoAgreement.

    Whether they have the next block is not checked.
    """
    tx_hash = hash32(tx_hash)

    parsed: list[tuple[Any, Receipt]] = []

    def key(raw: Any) -> Hashable:
        # Most providers give the same answer to the letter, and comparing answers takes far less time than parsing one.
        for answer, receipt in parsed:
            if answer == raw:
                return receipt
        parsed.append((raw, parse_receipt(raw, tx_hash)))
        return parsed[-1][1]

    agreed: Agreed = await pool.quorum("eth_getTransactionReceipt", [tx_hash], key=key, batcher=batcher)
    assert isinstance(agreed.key, Receipt)
    return agreed.key, agreed.agreed_by


async def agreed_receipts(pool: Pool, tx_hashes: Sequence[str]) -> list[Receipt | None]:
    """Return the agreed receipt of each transaction, in the order of `tx_hashes`; None where there is no agreement."""
    batcher = pool.batcher()

    async def read(tx_hash: str) -> Receipt | None:
        try:
            return (await agreed_receipt(pool, tx_hash, batcher))[0]
        except NoAgreement:
            return None

    return await asyncio.gather(*(read(tx_hash) for tx_hash in tx_hashes))
