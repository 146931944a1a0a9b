"""The three providers in front of the development node: each answers, and each can be made to misbehave."""

import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from chain.errors import ChainError
from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.types import to_checksum
from onramp.dev.chain.artifacts import call_data
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from onramp.dev.local.host import ROOT

pytestmark = pytest.mark.skipif(
    not (ROOT / "node_modules/@mezo-org/musd-contracts").is_dir(), reason="node packages are not installed (make setup)"
)

CANONICAL_MUSD = "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503"
BUYER = to_checksum("0x" + "bb" * 20)
ONE = 10**18


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def ask(session: aiohttp.ClientSession, url: str, method: str, *params: Any) -> Any:
    async with session.post(url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) as response:
        return (await response.json())["result"]


async def test_three_operators_answer_and_the_pool_takes_them_as_three(chain: DevChain) -> None:
    pool = Pool(parse_nodes(",".join(chain.rpc_urls)), chain_id=CHAIN_ID)
    try:
        await pool.refresh()
        assert set(pool.heads()) == {"alpha", "beta", "gamma"}
        agreed = await pool.quorum("eth_getCode", [chain.deployment.safe, "latest"])
        assert len(agreed.agreed_by) == 3
    finally:
        await pool.close()


async def test_a_batch_is_passed_on_and_counted_by_method(chain: DevChain, session: aiohttp.ClientSession) -> None:
    proxy = chain.proxy("alpha")
    before = proxy.calls["net_version"]
    batch = [{"jsonrpc": "2.0", "id": place, "method": "net_version", "params": []} for place in range(3)]
    async with session.post(proxy.url, json=batch) as response:
        assert [one["result"] for one in await response.json()] == [str(CHAIN_ID)] * 3
    assert proxy.calls["net_version"] == before + 3


async def test_a_page_of_any_origin_may_ask_as_it_may_ask_a_public_node(
    chain: DevChain, session: aiohttp.ClientSession
) -> None:
    headers = {
        "Origin": "http://dapp.test",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    async with session.options(chain.proxy("alpha").url, headers=headers) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Headers"] == "Content-Type"
    async with session.post(
        chain.proxy("alpha").url, json={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}
    ) as response:
        assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_node_that_is_down_cuts_the_connection_and_the_others_still_agree(
    chain: DevChain, session: aiohttp.ClientSession
) -> None:
    chain.proxy("beta").down = True
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await ask(session, chain.proxy("beta").url, "eth_chainId")
    pool = Pool(parse_nodes(",".join(chain.rpc_urls)), chain_id=CHAIN_ID)
    try:
        await pool.refresh()
        assert set(pool.heads()) == {"alpha", "gamma"}
        assert (await pool.quorum("eth_getCode", [CANONICAL_MUSD, "latest"])).agreed_by == ("alpha", "gamma")
    finally:
        await pool.close()
    chain.proxy("beta").down = False
    assert int(await ask(session, chain.proxy("beta").url, "eth_chainId"), 16) == CHAIN_ID


async def test_a_stopped_node_refuses_and_comes_back_on_its_port(session: aiohttp.ClientSession) -> None:
    chain = DevChain()
    await chain.start()
    try:
        proxy = chain.proxy("gamma")
        url = proxy.url
        await proxy.stop()
        with pytest.raises(aiohttp.ClientConnectorError):
            await ask(session, url, "eth_chainId")
        await proxy.start(chain.anvil.url)
        assert int(await ask(session, url, "eth_chainId"), 16) == CHAIN_ID
    finally:
        await chain.stop()


async def test_a_slow_node_answers_late(chain: DevChain, session: aiohttp.ClientSession) -> None:
    chain.proxy("alpha").delay = 0.3
    began = time.monotonic()
    await ask(session, chain.proxy("alpha").url, "eth_chainId")
    assert time.monotonic() - began >= 0.3


async def test_a_node_of_another_chain_is_not_used(chain: DevChain, session: aiohttp.ClientSession) -> None:
    chain.proxy("beta").wrong_chain_id = 31612
    assert int(await ask(session, chain.proxy("beta").url, "eth_chainId"), 16) == 31612
    pool = Pool(parse_nodes(chain.rpc_urls[1]), chain_id=CHAIN_ID)
    try:
        await pool.refresh()
        with pytest.raises(ChainError):
            await pool.first("eth_getBalance", [BUYER, "latest"])
    finally:
        await pool.close()


async def test_a_node_that_lags_knows_nothing_of_what_came_later(
    chain: DevChain, session: aiohttp.ClientSession
) -> None:
    holder, url = to_checksum("0x" + "cc" * 20), chain.proxy("gamma").url
    await chain.rpc("anvil_mine", hex(50))
    await chain.mint(holder, ONE)
    minted = int(await chain.rpc("eth_blockNumber"), 16)
    block = await chain.rpc("eth_getBlockByNumber", hex(minted), False)
    while not block["transactions"]:
        minted -= 1
        block = await chain.rpc("eth_getBlockByNumber", hex(minted), False)
    tx_hash = block["transactions"][0]
    call = {"to": CANONICAL_MUSD, "data": call_data("balanceOf(address)", holder)}
    logs = {"address": CANONICAL_MUSD, "fromBlock": hex(minted), "toBlock": hex(minted)}

    async def seen() -> tuple[bool, int, bool, int, bool]:
        return (
            await ask(session, url, "eth_getTransactionReceipt", tx_hash) is not None,
            len(await ask(session, url, "eth_getLogs", logs)),
            await ask(session, url, "eth_getBlockByNumber", hex(minted), False) is not None,
            int(await ask(session, url, "eth_call", call, "latest"), 16),
            (await ask(session, url, "eth_getTransactionByHash", tx_hash))["blockNumber"] is not None,
        )

    assert await seen() == (True, 1, True, ONE, True)
    # Far enough behind that the blocks of these seconds do not reach the mint.
    chain.proxy("gamma").behind = 40
    assert int(await ask(session, url, "eth_blockNumber"), 16) < minted
    assert await seen() == (False, 0, False, 0, False)
    newest = await ask(session, url, "eth_getBlockByNumber", "latest", False)
    assert int(newest["number"], 16) < minted
