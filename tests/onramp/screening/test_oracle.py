"""The oracle contract on a real chain: asked at create and at payout, believed if providers agree, and waited for if they cannot."""

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa

from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.reads.sanctions import NoOracle, is_sanctioned
from kit.audit.table import entries
from onramp.dev.chain.devchain import DevChain
from onramp.dev.local.host import ROOT
from tests.support.payout_service import payout_service
from tests.support.service import Service, Start

pytestmark = pytest.mark.skipif(
    not (ROOT / "node_modules/@mezo-org/musd-contracts").is_dir(), reason="node packages are not installed (make setup)"
)
ORACLE = "0x40C57923924B5c5c5455c48D93317139ADDaC8fb"
LISTED = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
PROBE_SECONDS = 0.25
"""How long the pool accepts the newest block that it has read."""
BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
CODE = "0x60043554" + "600052" + "60206000f3"
"""The word that is stored under the argument: CALLDATALOAD(4) SLOAD, MSTORE(0), RETURN(0, 32)."""


@pytest.fixture(scope="module", autouse=True)
def oracle(module_chain: DevChain) -> None:
    asyncio.run(module_chain.rpc("anvil_setCode", ORACLE, CODE))


async def say(chain: DevChain, address: str, value: int) -> None:
    """Set what the contract returns for this address from the next block on."""
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
    for nothing in (BUYER, chain.deployment.musd):  # no contract, and one that is not an oracle
        with pytest.raises(NoOracle):
            await is_sanctioned(pool, nothing, LISTED)
    with pytest.raises(NoOracle):
        await is_sanctioned(pool, ORACLE, LISTED)  # neither yes nor no
    await pool.close()


async def until(service: Service, session: str, status: str, reason: str | None) -> None:
    async with asyncio.timeout(60):
        while True:
            async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{session}") as answer:
                found = await answer.json()
            if (found["status"], found["delivery"]["reason"]) == (status, reason):
                return
            await asyncio.sleep(0.1)


async def test_create_and_payout_ask_the_oracle_and_wait_while_it_cannot_answer(
    start: Start, sqlite_url: str, chain: DevChain, tmp_path: Path
) -> None:
    await say(chain, LISTED, 1)
    await say(chain, BUYER, 0)
    async with payout_service(start, sqlite_url, chain, tmp_path, SANCTIONS_ORACLE=ORACLE) as (service, _):
        status, problem = await service.create(walletAddress=LISTED)
        assert (status, problem["code"]) == (403, "not_available")
        async with service.database.read() as conn:
            found = [row.action for row in await conn.execute(sa.select(entries))]
        assert "session.screened" in found
        _, made = await service.create(walletAddress=BUYER, sourceAmount="5")
        await say(chain, BUYER, 1)  # between create and payout
        await asyncio.sleep(2 * PROBE_SECONDS)  # until then, the payout may be screened at the block before
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
