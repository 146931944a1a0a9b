"""The oracle contract on a real chain: asked at both doors, believed where operators agree, and waited for where they cannot say."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from chain.nodes import parse_nodes
from chain.pool import Pool
from chain.sanctions import NoOracle, is_sanctioned
from kit.audit.table import entries
from onramp.dev import devchain
from onramp.dev.devchain import DevChain
from onramp.dev.machine import ROOT
from onramp.dev.wallet import dev_wallet
from tests.onramp.conftest import Ahead, Service, Start, replica

pytestmark = pytest.mark.skipif(
    not (ROOT / "node_modules/@mezo-org/musd-contracts").is_dir(), reason="node packages are not installed (make setup)"
)
ORACLE = "0x40C57923924B5c5c5455c48D93317139ADDaC8fb"
LISTED = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
CODE = "0x60043554" + "600052" + "60206000f3"
"""The word that is stored under the argument: CALLDATALOAD(4) SLOAD, MSTORE(0), RETURN(0, 32)."""
WORKERS = ("inbox", "reconcile", "deliveries", "treasury", "janitor")


@pytest.fixture(scope="module")
def shared() -> Iterator[DevChain]:
    with devchain.running() as running:
        asyncio.run(running.rpc("anvil_setCode", ORACLE, CODE))
        yield running


@pytest.fixture
def chain(shared: DevChain) -> Iterator[DevChain]:
    yield shared
    for proxy in shared.proxies:
        proxy.honest()


async def say(chain: DevChain, address: str, value: int) -> None:
    """What the contract says of this address, from the next block on."""
    slot = "0x" + address[2:].lower().rjust(64, "0")
    await chain.rpc("anvil_setStorageAt", ORACLE, slot, f"0x{value:064x}")
    await chain.rpc("anvil_mine", 1)


def pool_of(chain: DevChain) -> Pool:
    return Pool(parse_nodes(",".join(chain.rpc_urls)), chain_id=31611, agreement=2)


async def test_operators_agree_on_what_the_contract_says(chain: DevChain) -> None:
    pool = pool_of(chain)
    await say(chain, LISTED, 1)
    assert await is_sanctioned(pool, ORACLE, LISTED) is True
    assert await is_sanctioned(pool, ORACLE, BUYER) is False
    await say(chain, LISTED, 2)
    for nothing in (BUYER, chain.deployment.musd):  # no contract, and one that is none
        with pytest.raises(NoOracle):
            await is_sanctioned(pool, nothing, LISTED)
    with pytest.raises(NoOracle):
        await is_sanctioned(pool, ORACLE, LISTED)  # neither yes nor no
    await pool.close()


@asynccontextmanager
async def shop(start: Start, url: str, chain: DevChain, home: Path) -> AsyncIterator[Service]:
    """The whole service on the chain, screened by the oracle alone."""
    wallet = dev_wallet(home)
    await chain.mint(wallet.address, 1_000 * 10**18)
    await chain.fund_gas(wallet.address, 10**18)
    settings: dict[str, Any] = {
        "MEZO_RPC_URLS": SecretStr(",".join(chain.rpc_urls)),
        "CHAIN_AGREEMENT": 2,
        "MUSD_TOKEN_ADDRESS": chain.deployment.musd,
        "HOT_WALLET_ADDRESS": wallet.address,
        "HOT_WALLET_KEYSTORE": wallet.keystore,
        "HOT_WALLET_PASSWORD": SecretStr(wallet.password),
        "SANCTIONS_ORACLE": ORACLE,
    }
    service = await start(**settings)
    service.sandbox.sender.endpoint.url = f"{service.api}/api/v1/webhooks/stripe"
    async with replica(url, service, Ahead(), WORKERS, **settings):
        async with asyncio.timeout(60):
            while (await service.create(sourceAmount="1"))[0] != 201:
                await asyncio.sleep(0.3)
        yield service


async def until(service: Service, session: str, status: str, reason: str | None) -> None:
    async with asyncio.timeout(60):
        while True:
            async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{session}") as answer:
                found = await answer.json()
            if (found["status"], found["delivery"]["reason"]) == (status, reason):
                return
            await asyncio.sleep(0.1)


async def test_both_doors_ask_it_and_nobody_passes_while_it_cannot_say(
    start: Start, sqlite_url: str, chain: DevChain, tmp_path: Path
) -> None:
    await say(chain, LISTED, 1)
    await say(chain, BUYER, 0)
    async with shop(start, sqlite_url, chain, tmp_path) as service:
        status, problem = await service.create(walletAddress=LISTED)
        assert (status, problem["code"]) == (403, "not_available")
        async with service.database.read() as connection:
            found = [row.action for row in await connection.execute(sa.select(entries))]
        assert "session.screened" in found
        _, made = await service.create(walletAddress=BUYER, sourceAmount="5")
        await say(chain, BUYER, 1)  # between the two doors
        fact = service.sandbox.store.get(made["payment"]["stripeSessionId"])
        service.sandbox.walk(fact, "fulfillment_complete", {})
        await until(service, made["id"], "delivering", "screening")
        await say(chain, BUYER, 0)
        await until(service, made["id"], "completed", None)
        for proxy in chain.proxies[1:]:
            proxy.down = True
        status, problem = await service.create(walletAddress="0x90F79bf6EB2c4f870365E785982E1f101E93b906")
        assert (status, problem["code"]) == (503, "screening_unavailable")
        assert not any(word in str(problem).lower() for word in ("sanction", "oracle", "list"))
