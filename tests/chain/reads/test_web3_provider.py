"""web3 over the pool."""

from typing import Any

import pytest

from chain.deployments import abi
from tests.support.receipts import BUYER, TOKEN


async def test_web3_rides_on_the_pool(nodes: Any, pool: Any) -> None:
    from chain.reads.web3_provider import web3_over

    for node in nodes:
        node.results["eth_call"] = "0x" + (42).to_bytes(32, "big").hex()
    web3 = web3_over(pool, quorum=True)
    token = web3.eth.contract(address=web3.to_checksum_address(TOKEN), abi=abi("erc20"))
    assert await token.functions.balanceOf(BUYER).call() == 42
    assert nodes[0].seen == {"eth_chainId": 1, "eth_blockNumber": 1, "eth_call": 1}
    assert nodes[0].asked[-1][1][1] == hex(100)


async def test_a_revert_is_web3s_own_error(nodes: Any, pool: Any) -> None:
    from web3.exceptions import ContractLogicError

    from chain.reads.web3_provider import web3_over

    for node in nodes:
        node.errors["eth_call"] = {"code": 3, "message": "execution reverted: GS000", "data": "0x"}
    web3 = web3_over(pool)
    safe = web3.eth.contract(address=web3.to_checksum_address(TOKEN), abi=abi("safe"))
    with pytest.raises(ContractLogicError):
        await safe.functions.getThreshold().call()
