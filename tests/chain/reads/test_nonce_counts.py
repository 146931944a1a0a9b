"""How many transactions of a wallet each provider counts."""

from typing import Any

import pytest

from chain.errors import NoAgreement
from chain.reads.nonce_counts import nonce_counts
from tests.support.fake_node import Refusal
from tests.support.receipts import WALLET


def counts(latest: int, pending: int | None) -> Any:
    """Answer with these numbers; None: the node does not know the tag."""

    def answer(params: list[Any]) -> str:
        if params[1] == "pending" and pending is None:
            raise Refusal(-32602, "unknown tag")
        return hex(pending or 0) if params[1] == "pending" else hex(latest)

    return answer


async def test_the_higher_number_of_each_provider_counts_and_none_is_outvoted(nodes: Any, pool: Any) -> None:
    for node, answer in zip(nodes, (counts(7, 9), counts(7, None), counts(7, 7)), strict=True):
        node.results["eth_getTransactionCount"] = answer
    assert list((await nonce_counts(pool, WALLET)).values()) == [9, 7, 7]


async def test_too_few_answers_prove_nothing(nodes: Any, pool: Any) -> None:
    nodes[0].results["eth_getTransactionCount"] = counts(7, 7)
    for node in nodes[1:]:
        node.errors["eth_getTransactionCount"] = {"code": -32000, "message": "busy"}
    with pytest.raises(NoAgreement, match="1 did"):
        await nonce_counts(pool, WALLET)
