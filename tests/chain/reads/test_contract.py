"""Contract calls by ABI: one block, a quorum, and bounded work whatever the contract returns."""

import time
from typing import Any

import pytest
from eth_abi.abi import encode

from chain.errors import NoAgreement
from chain.reads.contract import Contract, InvalidAnswer
from chain.reads.sanctions import NoOracle, is_sanctioned
from chain.reads.web3_provider import MAX_RETURNED
from chain.types import to_checksum, to_hex
from tests.support.receipts import BUYER, STRANGER, TOKEN

OWNERS = [BUYER, STRANGER]


def returns(nodes: list[Any], *answers: bytes) -> None:
    for node, data in zip(nodes, answers * (1 if len(answers) == len(nodes) else len(nodes)), strict=True):
        node.results["eth_call"] = to_hex(data)


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


@pytest.fixture
def safe(pool: Any) -> Contract:
    return Contract(pool, to_checksum(TOKEN), "safe", block_number=77)


async def test_a_call_is_agreed_at_the_given_block(nodes: Any, safe: Contract) -> None:
    returns(nodes, encode(["address[]"], [OWNERS]))
    assert list(await safe.call("getOwners")) == OWNERS
    for node in nodes:
        (call,) = [params for method, params in node.asked if method == "eth_call"]
        assert (call[0]["data"], call[1]) == ("0xa0e67e2b", hex(77))
        assert set(node.seen) == {"eth_chainId", "eth_call"}


async def test_one_node_cannot_change_what_a_contract_answers(nodes: Any, pool: Any, safe: Contract) -> None:
    returns(nodes, word(1), word(3), word(3))
    assert await safe.call("getThreshold") == 3
    assert [node.quarantined for node in pool.nodes] == [True, False, False]


async def test_without_a_quorum_there_is_no_answer(nodes: Any, safe: Contract) -> None:
    returns(nodes, word(1), word(2), word(3))
    with pytest.raises(NoAgreement):
        await safe.call("getThreshold")


async def test_more_providers_may_have_to_agree_than_usual(nodes: Any, pool: Any) -> None:
    returns(nodes, word(1), word(3), word(3))
    with pytest.raises(NoAgreement):
        await Contract(pool, to_checksum(TOKEN), "safe", block_number=77, k=3).call("getThreshold")


async def test_a_revert_is_an_invalid_answer(nodes: Any, safe: Contract) -> None:
    for node in nodes:
        node.errors["eth_call"] = {"code": 3, "message": "execution reverted", "data": "0x"}
    with pytest.raises(InvalidAnswer):
        await safe.call("getThreshold")


HOSTILE = {
    "nothing": b"",
    "half a word": b"\1" * 16,
    "an offset beyond the data": word(2**255),
    "a length beyond the data": word(32) + word(2**255),
    "a word that is not an address": word(32) + word(1) + b"\xff" * 32,
    "thousands of owners": word(32) + word(3_000) + bytes(32 * 3_000),
    "more than any Safe returns": bytes(MAX_RETURNED + 1),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
async def test_a_response_that_the_abi_does_not_allow_is_invalid_at_once(
    nodes: Any, pool: Any, safe: Contract, data: bytes
) -> None:
    returns(nodes, encode(["address[]"], [[]]))
    await safe.call("getOwners")  # web3 is loaded
    returns(nodes, data)
    for node in nodes:
        node.results["eth_getCode"] = "0x60"
    began = time.process_time()
    with pytest.raises(InvalidAnswer):
        await safe.call("getOwners")
    assert time.process_time() - began < 1
    assert not any(node.quarantined for node in pool.nodes)


@pytest.mark.parametrize("data", [b"", word(2), word(1)[:31], bytes(16)])
async def test_a_contract_that_does_not_return_a_flag_is_not_an_oracle(nodes: Any, pool: Any, data: bytes) -> None:
    returns(nodes, data)
    for node in nodes:
        node.results["eth_getCode"] = "0x"
    with pytest.raises(NoOracle):
        await is_sanctioned(pool, TOKEN, BUYER)


@pytest.mark.parametrize("flag", [False, True])
async def test_the_oracle_is_asked_at_the_agreed_head(nodes: Any, pool: Any, flag: bool) -> None:
    returns(nodes, word(flag))
    assert await is_sanctioned(pool, TOKEN, BUYER) is flag
    assert [params[1] for method, params in nodes[0].asked if method == "eth_call"] == [hex(100)]
