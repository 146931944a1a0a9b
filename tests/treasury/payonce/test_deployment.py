"""The deployment of PayOnce on a real node: once, with the wallet's nonces in order, and safe at every point."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from chain import payonce
from chain.reads.payonce import Code
from kit.db.database import Database
from onramp.dev.chain.devchain import DevChain
from tests.support.hot_wallet import HOT_WALLET, WALLET
from tests.support.missing_payonce import remove_payonce
from tests.support.payonce_world import PayOnceWorld, dies_before_the_broadcast, payonce_world
from treasury.core.leader import Leader
from treasury.core.status import Status
from treasury.payonce.deployment import Deployer
from treasury.payonce.wallet_call import CallRefused
from treasury.signers.intent import DeployIntent, SelfTransferIntent


@pytest.fixture
async def world(chain: DevChain, database: Database) -> AsyncIterator[PayOnceWorld]:
    await remove_payonce(chain)
    world = await payonce_world(chain, database)
    yield world
    await world.pool.close()


@pytest.fixture
def deployer(world: PayOnceWorld) -> Deployer:
    return Deployer(**world.parts)


async def test_it_is_deployed_once_and_the_worker_proves_it_and_pays_on(
    world: PayOnceWorld, deployer: Deployer
) -> None:
    tx_hash = await deployer.deploy()
    assert await world.code() is Code.PAYONCE
    assert await deployer.deploy() is None
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
    assert [after["txHash"] for _, after in await world.audited("contract.deploy")] == [tx_hash]


async def test_a_death_before_the_broadcast_is_made_good_by_the_worker(world: PayOnceWorld, deployer: Deployer) -> None:
    await dies_before_the_broadcast(world, deployer.deploy)
    row = await world.transaction()
    assert row is not None and row.status is Status.SIGNED
    assert await world.code() is Code.MISSING
    with pytest.raises(CallRefused, match="not final"):
        await deployer.deploy()
    await world.settle()
    assert await world.code() is Code.PAYONCE
    row = await world.transaction()
    assert row is not None and row.status is Status.FINAL


async def test_another_leader_keeps_the_wallet(world: PayOnceWorld, deployer: Deployer) -> None:
    leader = Leader(world.treasury.database, HOT_WALLET, owner="another", seconds=60)
    assert await leader.hold()
    await world.refused(deployer.deploy, "`treasury` is running")
    await leader.resign()
    assert await deployer.deploy() is not None


async def test_nothing_is_sent_while_anything_is_unsettled_paused_or_too_dear(
    world: PayOnceWorld, deployer: Deployer
) -> None:
    world.treasury.pause.payouts = True
    await world.refused(deployer.deploy, "paused")
    world.treasury.pause.payouts = False
    await world.chain.rpc("anvil_setNonce", WALLET, "0x3")
    await world.code()
    await world.refused(deployer.deploy, "counts 3 transactions")
    await world.chain.rpc("anvil_setNonce", WALLET, "0x0")
    await world.code()
    await world.refused(replace(deployer, max_fee=1).deploy, "above the limit of 1")
    await world.chain.fund_gas(WALLET, 10**12)
    await world.code()
    await world.refused(deployer.deploy, "send BTC to it")


async def test_a_chain_without_the_factory_is_refused(world: PayOnceWorld, deployer: Deployer) -> None:
    code = await world.chain.rpc("eth_getCode", payonce.FACTORY, "latest")
    await world.chain.rpc("anvil_setCode", payonce.FACTORY, "0x")
    try:
        await world.code()
        await world.refused(deployer.deploy, "no deterministic factory")
    finally:
        await world.chain.rpc("anvil_setCode", payonce.FACTORY, code)


async def test_other_code_at_the_address_is_refused(world: PayOnceWorld, deployer: Deployer) -> None:
    await world.chain.rpc("anvil_setCode", payonce.ADDRESS, "0x6001")
    await world.code()
    await world.refused(deployer.deploy, "Another contract stands")


async def test_if_the_nodes_drop_it_for_its_fee_an_empty_transfer_takes_its_nonce_and_payouts_go_on(
    world: PayOnceWorld, deployer: Deployer
) -> None:
    await dies_before_the_broadcast(world, deployer.deploy)
    await world.treasury.owe("ons_one")
    await world.settle(24, base_fee=10 * 10**9)
    assert SelfTransferIntent in {type(intent) for intent in world.treasury.signer.requests}
    row = await world.transaction()
    assert row is not None and (row.status, row.stall, len(row.attempts)) == (Status.FINAL, None, 2)
    assert await world.code() is Code.MISSING
    assert await world.treasury.status("ons_one") is Status.FINAL
    assert await deployer.deploy() is not None
    assert await world.code() is Code.PAYONCE, "the person repeats the command"
