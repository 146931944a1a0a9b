"""The sender on a real EVM node with the real MUSD token: crashes, a lost database, a reverting token."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from subprocess import DEVNULL, Popen
from typing import Any

import aiohttp
import pytest

from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.types import keccak
from kit.db.database import Database
from onramp.dev.chain.anvil import free_port
from tests.support.crashes import Crash
from tests.support.hot_wallet import BUYER, CHAIN_ID, MUSD, TOKEN, WALLET
from tests.support.paths import ROOT
from tests.support.treasury_world import TreasuryWorld
from tests.support.waiting import eventually
from treasury.core.status import Status
from treasury.sender import CHECKPOINTS
from treasury.sender.wallet_chain import QuorumWalletChain

pytestmark = pytest.mark.starts_first

PARTS = ROOT / "node_modules"
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


@pytest.fixture(scope="module")
def rpc_url() -> Iterator[str]:
    port = free_port()
    binary = next(PARTS.glob("@foundry-rs/anvil-*/bin/anvil"))
    arguments = [str(binary), "--port", str(port), "--chain-id", str(CHAIN_ID), "--accounts", "1"]
    process = Popen(arguments, stdout=DEVNULL, stderr=DEVNULL)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait(30)


class RealChain:
    """The node, with what tests read and change directly."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session
        self.pool = Pool(
            parse_nodes(f"one={url}/?1,two={url}/?2,three={url}/?3", ""), chain_id=CHAIN_ID, session=session
        )
        self.view = QuorumWalletChain(self.pool, wallet=WALLET, token=TOKEN)

    async def rpc(self, method: str, *params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self._session.post(self.url, json=body) as response:
            answer = await response.json()
        assert "error" not in answer, answer
        return answer["result"]

    async def ready(self) -> None:
        for _ in range(200):
            try:
                await self.rpc("eth_chainId")
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
            else:
                return
        raise AssertionError("the node does not start")

    async def furnish(self) -> None:
        """Put the real token's code at its address, and give the wallet tokens and gas."""
        bytecode = json.loads((PARTS / "@mezo-org/musd-contracts/deployments/matsnet/MUSD.json").read_text())[
            "bytecode"
        ]
        (deployer,) = await self.rpc("eth_accounts")
        sent = await self.rpc("eth_sendTransaction", {"from": deployer, "data": bytecode, "gas": hex(9_000_000)})
        receipt = await eventually(lambda: self.rpc("eth_getTransactionReceipt", sent))
        code = await self.rpc("eth_getCode", receipt["contractAddress"], "latest")
        await self.rpc("anvil_setCode", TOKEN, code)
        # OpenZeppelin's ERC20 keeps balances in the mapping at slot 0.
        slot = "0x" + keccak(bytes.fromhex(WALLET[2:]).rjust(32, b"\0") + bytes(32)).hex()
        await self.rpc("anvil_setStorageAt", TOKEN, slot, "0x" + (1000 * MUSD).to_bytes(32, "big").hex())
        await self.rpc("anvil_setBalance", WALLET, hex(10**18))

    async def transfers(self) -> list[str]:
        """Return the hash of every Transfer that left the wallet."""
        sender = "0x" + WALLET[2:].lower().rjust(64, "0")
        query = {"fromBlock": "0x0", "toBlock": "latest", "address": TOKEN, "topics": [TRANSFER, sender]}
        return [log["transactionHash"] for log in await self.rpc("eth_getLogs", query)]


@pytest.fixture
async def chain(rpc_url: str) -> AsyncIterator[RealChain]:
    async with aiohttp.ClientSession() as session:
        real = RealChain(rpc_url, session)
        await real.ready()
        clean = await real.rpc("evm_snapshot")
        await real.furnish()
        yield real
        await real.pool.close()
        await real.rpc("evm_revert", clean)


async def settle(world: TreasuryWorld, real: RealChain, checkpoint: Any = lambda _: None, cycles: int = 14) -> None:
    sender = world.sender(checkpoint, chain=real.view)
    for _ in range(cycles):
        await sender.step()
        world.clock.seconds += 15
        await real.rpc("anvil_mine", "0x2")
        # The pool caches heads for a moment.
        real.pool.expire_probe()


@pytest.fixture
def world(database: Database) -> TreasuryWorld:
    return TreasuryWorld(database)


async def test_a_payout_is_proved_and_carries_its_reference(world: TreasuryWorld, chain: RealChain) -> None:
    await world.owe("ons_one")
    await settle(world, chain)
    payout = await world.payout("ons_one")
    assert payout.status is Status.FINAL
    assert await chain.transfers() == [payout.tx_hash]
    shown = await chain.rpc("eth_getTransactionByHash", payout.tx_hash)
    assert shown["input"].endswith(keccak(b"ons_one").hex())
    assert world.metrics.gas_spent > 0


@pytest.mark.parametrize("name", CHECKPOINTS)
async def test_death_at_a_checkpoint_pays_once(world: TreasuryWorld, chain: RealChain, name: str) -> None:
    def checkpoint(reached: str) -> None:
        if reached == name:
            raise Crash(name)

    await world.owe("ons_one")
    with pytest.raises(Crash):
        await settle(world, chain, checkpoint)
    world.clock.seconds += 60
    await settle(world, chain)
    assert await world.status("ons_one") is Status.FINAL
    assert await chain.transfers() == [(await world.payout("ons_one")).tx_hash]


async def test_a_lost_database_adopts_what_was_paid(world: TreasuryWorld, chain: RealChain) -> None:
    await world.owe("ons_a")
    await settle(world, chain, cycles=8)
    before = await world.transaction("ons_a")
    await world.forget()
    world.stripe.down = True
    await world.owe("ons_b")
    await settle(world, chain, cycles=4)
    assert await world.status("ons_b") is Status.PLANNED, "nobody can say yet what the transaction before it paid"
    world.stripe.down = False
    await world.owe("ons_a")
    await settle(world, chain)
    assert [await world.status(name) for name in ("ons_a", "ons_b")] == [Status.FINAL, Status.FINAL]
    after = await world.transaction("ons_a")
    assert [attempt.raw for attempt in after.attempts] == [attempt.raw for attempt in before.attempts]
    assert await chain.transfers() == [before.attempts[0].hash, (await world.payout("ons_b")).tx_hash]


async def test_a_payout_that_the_token_reverts_is_reverted(world: TreasuryWorld, chain: RealChain) -> None:
    await world.owe("ons_one", to=BUYER)
    sender = world.sender(chain=chain.view)
    await chain.rpc("evm_setAutomine", False)
    try:
        await sender.step()
        # The token is replaced by code that always reverts before the transaction is mined.
        code = await chain.rpc("eth_getCode", TOKEN, "latest")
        await chain.rpc("anvil_setCode", TOKEN, "0x60006000fd")
        await chain.rpc("anvil_mine", "0x3")
        await chain.rpc("anvil_setCode", TOKEN, code)
        chain.pool.expire_probe()
        await sender.step()
        assert await world.status("ons_one") is Status.REVERTED
        assert await chain.transfers() == []
    finally:
        await chain.rpc("evm_setAutomine", True)
