"""The approval of PayOnce on a real node: within the policy, with the wallet's nonces in order, and safe at every point."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from chain import payonce
from chain.pool.pool import Pool
from kit.db.database import Database
from onramp.dev.chain.devchain import DevChain
from tests.support.fake_policy import FakeGate
from tests.support.faulty_proxy import FaultyProxy, instead
from tests.support.hot_wallet import BUYER, CHAIN_ID, HOT_WALLET, MUSD, TOKEN, WALLET
from tests.support.missing_payonce import remove_payonce
from tests.support.payonce_world import PayOnceWorld, dies_before_the_broadcast, payonce_world
from treasury.core.leader import Leader
from treasury.core.status import Status
from treasury.incidents import unmatched
from treasury.payonce.approval import Approver
from treasury.payonce.wallet_call import CallRefused
from treasury.policy.model import UNLIMITED
from treasury.sender.wallet_chain import QuorumWalletChain
from treasury.signers.intent import ApproveIntent, Intent, SelfTransferIntent
from treasury.signers.protocol import Signed

LIMIT = 500 * MUSD


@pytest.fixture
async def world(chain: DevChain, database: Database) -> AsyncIterator[PayOnceWorld]:
    await chain.rpc("anvil_setCode", payonce.ADDRESS, payonce.artefact()["deployedBytecode"])
    world = await payonce_world(chain, database)
    await world.mine()
    yield world
    await world.pool.close()


@pytest.fixture
def approver(world: PayOnceWorld) -> Approver:
    return Approver(**world.parts, token=TOKEN, max_allowance=LIMIT)


async def test_it_is_approved_once_and_the_worker_proves_it_and_pays_on(
    world: PayOnceWorld, approver: Approver
) -> None:
    tx_hash = await approver.approve(LIMIT)
    await world.mine()
    assert await approver.allowance() == LIMIT
    assert await approver.approve(LIMIT) is None
    (intent,) = world.treasury.signer.requests
    assert isinstance(intent, ApproveIntent) and intent.spender == payonce.ADDRESS
    row = await world.transaction()
    assert row is not None
    assert (row.status, row.to, row.amount, [attempt.hash for attempt in row.attempts]) == (Status.BROADCAST, TOKEN, 0, [tx_hash])  # fmt: skip
    before = await world.chain.balance(WALLET)
    await world.treasury.owe("ons_one")
    await world.settle()
    row = await world.transaction()
    assert row is not None and (row.status, row.stall, row.operation_id[:4]) == (Status.FINAL, None, "nop_")
    assert await world.treasury.status("ons_one") is Status.FINAL
    assert before - await world.chain.balance(WALLET) == 5 * MUSD, "an approval moves nothing"
    assert world.treasury.metrics.gas_spent > 0
    ((old, new),) = await world.audited("contract.approve")
    assert (old, new["allowance"], new["spender"], new["token"]) == ({"allowance": "0.00"}, "500.00", payonce.ADDRESS, TOKEN)  # fmt: skip
    assert (new["txHash"], new["nonce"]) == (tx_hash, 0)


async def test_an_amount_replaces_the_earlier_one_and_0_takes_it_back(world: PayOnceWorld, approver: Approver) -> None:
    for amount in (LIMIT, 7, 0):
        assert await approver.approve(amount) is not None
        await world.settle(4)
        assert await approver.allowance() == amount
    unlimited = replace(approver, max_allowance=UNLIMITED)
    assert await unlimited.approve(UNLIMITED) is not None
    await world.settle(4)
    assert await approver.allowance() == UNLIMITED
    allowances = [new["allowance"] for _, new in await world.audited("contract.approve")]
    assert allowances == ["500.00", "0.000000000000000007", "0.00", "unlimited"]


@pytest.mark.parametrize(
    ("amount", "limit", "match"),
    [
        (LIMIT + 1, LIMIT, r"move 500\.00 MUSD at most .* not 500\.000000000000000001 MUSD\. Two persons"),
        (UNLIMITED, LIMIT, r'not any amount of MUSD\. Only `max_allowance = "unlimited"`'),
        (2**256, UNLIMITED, "at most"),
        (1, 0, "names neither payouts.max_allowance nor assets.MUSD.ceiling"),
    ],
)
async def test_more_than_the_policy_allows_is_refused(
    world: PayOnceWorld, approver: Approver, amount: int, limit: int, match: str
) -> None:
    bounded = replace(approver, max_allowance=limit)
    await world.refused(lambda: bounded.approve(amount), match)


async def test_a_negative_amount_is_refused(world: PayOnceWorld, approver: Approver) -> None:
    await world.refused(lambda: approver.approve(-1), "above zero")


async def test_a_chain_without_the_contract_is_refused_except_to_take_an_approval_back(
    world: PayOnceWorld, approver: Approver
) -> None:
    assert await approver.approve(LIMIT) is not None
    await world.settle(4)
    await remove_payonce(world.chain)
    world.pool.expire_probe()
    with pytest.raises(CallRefused, match="onramp contract deploy"):
        await approver.approve(1)
    assert await approver.approve(0) is not None
    await world.settle(4)
    assert await approver.allowance() == 0


async def test_another_leader_keeps_the_wallet(world: PayOnceWorld, approver: Approver) -> None:
    leader = Leader(world.treasury.database, HOT_WALLET, owner="another", seconds=60)
    assert await leader.hold()
    await world.refused(lambda: approver.approve(LIMIT), "`treasury` is running")
    await leader.resign()
    assert await approver.approve(LIMIT) is not None


async def test_nothing_is_sent_while_anything_is_paused_unsettled_or_too_dear(
    world: PayOnceWorld, approver: Approver
) -> None:
    world.treasury.pause.payouts = True
    await world.refused(lambda: approver.approve(LIMIT), "paused")
    world.treasury.pause.payouts = False
    await world.chain.rpc("anvil_setNonce", WALLET, "0x3")
    await world.mine()
    await world.refused(lambda: approver.approve(LIMIT), "counts 3 transactions")
    await world.chain.rpc("anvil_setNonce", WALLET, "0x0")
    await world.mine()
    await world.refused(lambda: replace(approver, max_fee=1).approve(LIMIT), "above the limit of 1")
    await world.chain.fund_gas(WALLET, 10**10)
    await world.mine()
    await world.refused(lambda: approver.approve(LIMIT), "the approval may take .* send BTC to it")


async def test_nothing_is_sent_after_a_restore_or_while_a_transaction_is_unexplained(
    world: PayOnceWorld, approver: Approver
) -> None:
    treasury = world.treasury
    async with treasury.database.write() as conn:
        now = treasury.clock.now()
        await unmatched.record(conn, HOT_WALLET, 0, now=now, ids=treasury.ids, note="unknown", to_address=BUYER)
    await world.chain.rpc("anvil_setNonce", WALLET, "0x1")
    await world.mine()
    await world.refused(lambda: approver.approve(LIMIT), "a transaction of the wallet is unexplained")
    await treasury.declare_restore()
    await world.refused(lambda: approver.approve(LIMIT), "a restore is not done")


async def test_nothing_is_sent_if_one_node_counts_a_transaction_that_the_database_does_not_know(
    world: PayOnceWorld, approver: Approver, providers: list[FaultyProxy]
) -> None:
    pool = Pool([provider.config for provider in providers], chain_id=CHAIN_ID)
    providers[1].always(instead("0x1"), "eth_getTransactionCount")
    doubtful = replace(approver, pool=pool, chain=QuorumWalletChain(pool, wallet=WALLET, token=TOKEN))
    await world.refused(lambda: doubtful.approve(LIMIT), "A node of beta counts more than the 0 transactions")
    await pool.close()


async def test_a_pause_that_comes_during_the_signature_stops_it(world: PayOnceWorld, approver: Approver) -> None:
    gate = FakeGate()

    class Pausing:
        address = WALLET

        async def sign(self, intent: Intent) -> Signed:
            gate.payouts = True
            return await world.treasury.signer.sign(intent)

    with pytest.raises(CallRefused, match="paused"):
        await replace(approver, gate=gate, signer=Pausing()).approve(LIMIT)  # type: ignore[arg-type] # only signs
    assert await world.transaction() is None
    await world.mine()
    assert await approver.allowance() == 0
    assert await approver.approve(LIMIT) is not None, "no nonce was taken"


async def test_a_death_before_the_broadcast_is_made_good_by_the_worker(world: PayOnceWorld, approver: Approver) -> None:
    await dies_before_the_broadcast(world, lambda: approver.approve(LIMIT))
    row = await world.transaction()
    assert row is not None and row.status is Status.SIGNED
    assert await approver.allowance() == 0
    with pytest.raises(CallRefused, match="not final"):
        await approver.approve(LIMIT)
    await world.settle()
    assert await approver.allowance() == LIMIT
    row = await world.transaction()
    assert row is not None and row.status is Status.FINAL


async def test_if_the_nodes_drop_it_for_its_fee_an_empty_transfer_takes_its_nonce_and_payouts_go_on(
    world: PayOnceWorld, approver: Approver
) -> None:
    await dies_before_the_broadcast(world, lambda: approver.approve(LIMIT))
    await world.treasury.owe("ons_one")
    await world.settle(24, base_fee=10 * 10**9)
    assert SelfTransferIntent in {type(intent) for intent in world.treasury.signer.requests}
    row = await world.transaction()
    assert row is not None and (row.status, row.stall, len(row.attempts)) == (Status.FINAL, None, 2)
    assert await approver.allowance() == 0
    assert await world.treasury.status("ons_one") is Status.FINAL
    assert await approver.approve(LIMIT) is not None
    await world.mine()
    assert await approver.allowance() == LIMIT, "the person repeats the command"
