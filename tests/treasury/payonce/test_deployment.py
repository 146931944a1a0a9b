"""The deployment of PayOnce on a real node: once, with the wallet's nonces in order, and safe at every point."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import sqlalchemy as sa

from chain import payonce
from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.reads.payonce import Code, read_code
from kit.audit.table import entries
from kit.db.database import Database
from onramp.dev.chain.devchain import DevChain
from tests.support.hot_wallet import CHAIN_ID, HOT_WALLET, MUSD, TOKEN, WALLET
from tests.support.missing_payonce import remove_payonce
from tests.support.treasury_world import TreasuryWorld
from treasury.core.leader import Leader
from treasury.core.status import Status
from treasury.payonce.deployment import Deployer, DeploymentRefused
from treasury.sender.wallet_chain import QuorumWalletChain
from treasury.signers.intent import DeployIntent
from treasury.transactions import queries
from treasury.transactions.model import Transaction


@dataclass
class World:
    """A funded wallet without history on a chain without PayOnce, and everything that deploys it."""

    treasury: TreasuryWorld
    chain: DevChain
    pool: Pool
    deployer: Deployer

    async def transaction(self) -> Transaction | None:
        async with self.treasury.database.read() as conn:
            return await queries.by_nonce(conn, HOT_WALLET, 0)

    async def settle(self, cycles: int = 12) -> None:
        """Run the worker as a process that starts now."""
        sender = self.treasury.sender(chain=self.deployer.chain)
        for _ in range(cycles):
            await sender.step()
            self.treasury.clock.seconds += 15
            await self.chain.rpc("anvil_mine", "0x2")
            self.pool.expire_probe()
        await sender.stop()

    async def code(self) -> Code:
        await self.chain.rpc("anvil_mine", "0x2")
        (code,) = await read_code(self.pool, payonce.ADDRESS)
        return code


@pytest.fixture
async def world(chain: DevChain, database: Database) -> AsyncIterator[World]:
    await remove_payonce(chain)
    await chain.rpc("anvil_setNonce", WALLET, "0x0")
    await chain.fund_gas(WALLET, 10**18)
    await chain.mint(WALLET, 100 * MUSD)
    treasury, pool = TreasuryWorld(database), Pool(parse_nodes(",".join(chain.rpc_urls), ""), chain_id=CHAIN_ID)
    deployer = Deployer(
        wallet=HOT_WALLET,
        database=database,
        pool=pool,
        chain=QuorumWalletChain(pool, wallet=WALLET, token=TOKEN),
        signer=treasury.signer,
        gate=treasury.pause,
        clock=treasury.clock,
        ids=treasury.ids,
        max_fee=50 * 10**9,
    )
    yield World(treasury, chain, pool, deployer)
    await pool.close()


async def test_it_is_deployed_once_and_the_worker_proves_it_and_pays_on(world: World) -> None:
    tx_hash = await world.deployer.deploy()
    assert await world.code() is Code.PAYONCE
    assert await world.deployer.deploy() is None
    assert [type(intent) for intent in world.treasury.signer.requests] == [DeployIntent]
    row = await world.transaction()
    assert row is not None
    assert (row.status, row.to, row.amount, [attempt.hash for attempt in row.attempts]) == (Status.BROADCAST, payonce.FACTORY, 0, [tx_hash])  # fmt: skip
    await world.treasury.owe("ons_one")
    await world.settle()
    row = await world.transaction()
    assert row is not None and (row.status, row.stall) == (Status.FINAL, None)
    assert await world.treasury.status("ons_one") is Status.FINAL
    assert world.treasury.metrics.gas_spent > 0
    async with world.treasury.database.read() as conn:
        written = (
            await conn.execute(sa.select(entries.c.new_values).where(entries.c.action == "contract.deploy"))
        ).all()
    assert [values["txHash"] for (values,) in written] == [tx_hash]


async def test_a_death_before_the_broadcast_is_made_good_by_the_worker(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: Any, **__: Any) -> None:
        raise RuntimeError("dead")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(world.deployer.chain, "broadcast", die)
        await world.deployer.deploy()
    row = await world.transaction()
    assert row is not None and row.status is Status.SIGNED
    assert await world.code() is Code.MISSING
    with pytest.raises(DeploymentRefused, match="not final"):
        await world.deployer.deploy()
    await world.settle()
    assert await world.code() is Code.PAYONCE
    row = await world.transaction()
    assert row is not None and row.status is Status.FINAL


async def test_another_leader_keeps_the_wallet(world: World) -> None:
    leader = Leader(world.treasury.database, HOT_WALLET, owner="another", seconds=60)
    assert await leader.hold()
    await _refused(world, "`treasury` is running")
    await leader.resign()
    assert await world.deployer.deploy() is not None


async def test_nothing_is_sent_while_anything_is_unsettled_paused_or_too_dear(world: World) -> None:
    world.treasury.pause.payouts = True
    await _refused(world, "paused")
    world.treasury.pause.payouts = False
    await world.chain.rpc("anvil_setNonce", WALLET, "0x3")
    await world.code()
    await _refused(world, "counts 3 transactions")
    await world.chain.rpc("anvil_setNonce", WALLET, "0x0")
    await world.code()
    dear = world.deployer
    world.deployer = replace(dear, max_fee=1)
    await _refused(world, "above the limit of 1")
    world.deployer = dear
    await world.chain.fund_gas(WALLET, 10**12)
    await world.code()
    await _refused(world, "send BTC to it")


async def test_a_chain_without_the_factory_is_refused(world: World) -> None:
    code = await world.chain.rpc("eth_getCode", payonce.FACTORY, "latest")
    await world.chain.rpc("anvil_setCode", payonce.FACTORY, "0x")
    try:
        await world.code()
        await _refused(world, "no deterministic factory")
    finally:
        await world.chain.rpc("anvil_setCode", payonce.FACTORY, code)


async def test_other_code_at_the_address_is_refused(world: World) -> None:
    await world.chain.rpc("anvil_setCode", payonce.ADDRESS, "0x6001")
    await world.code()
    await _refused(world, "Another contract stands")


async def _refused(world: World, match: str) -> None:
    with pytest.raises(DeploymentRefused, match=match):
        await world.deployer.deploy()
    assert world.treasury.signer.requests == []
    assert await world.transaction() is None
