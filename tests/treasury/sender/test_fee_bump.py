"""A higher fee for a transaction that is not mined, and when none is offered."""

import itertools

import sqlalchemy as sa

from tests.support.fake_cold_wallet import FakeColdWallet
from tests.support.hot_wallet import BUYER, SAFE
from tests.support.treasury_world import TreasuryWorld
from treasury.cold.identity import Unverified, Verified
from treasury.core.status import Status
from treasury.payouts.table import payouts as payouts_table

GWEI = 10**9


async def wait(world: TreasuryWorld, sender: object, blocks: int) -> None:
    """Run the sender through blocks that hold none of this wallet's transactions."""
    for _ in range(blocks):
        await sender.step()  # type: ignore[attr-defined]
        world.clock.seconds += 15
        world.chain.head += 1


async def test_a_transaction_evicted_for_its_fee_is_signed_again_for_more_and_paid_once(
    world: TreasuryWorld,
) -> None:
    await world.owe("ons_one")
    sender = world.sender()
    await sender.step()
    world.chain.pending.clear()
    world.chain.floor = world.chain.fee = 3 * GWEI
    await world.cycles(sender, 12)
    transaction = await world.transaction("ons_one")
    assert transaction.status is Status.FINAL
    assert [attempt.max_fee for attempt in transaction.attempts] == [GWEI, 3 * GWEI]
    assert {request.nonce for request in world.signer.requests} == {0}
    assert len(world.chain.transfers()) == 1


async def test_nothing_is_signed_again_while_a_node_knows_the_old_one_or_the_fee_is_enough(
    world: TreasuryWorld,
) -> None:
    await world.owe("ons_one")
    sender = world.sender()
    await sender.step()
    world.chain.fee = 3 * GWEI
    await wait(world, sender, 20)
    assert len(world.signer.requests) == 1
    world.chain.fee = GWEI
    world.chain.deaf = True
    world.chain.pending.clear()
    await wait(world, sender, 20)
    assert len(world.signer.requests) == 1


async def test_a_raised_fee_keeps_to_the_ceiling_and_to_a_pause(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    sender = world.sender()
    await sender.step()
    world.chain.pending.clear()
    world.chain.floor = world.chain.fee = 60 * GWEI
    await world.cycles(sender, 10)
    assert ((await world.transaction("ons_one")).stall, len(world.signer.requests)) == ("fee_ceiling", 1)
    world.chain.floor = world.chain.fee = 3 * GWEI
    world.pause.payouts = True
    await world.cycles(sender, 10)
    assert len(world.signer.requests) == 1
    world.pause.payouts = False
    await world.cycles(sender, 10)
    assert await world.status("ons_one") is Status.FINAL


async def test_a_row_that_was_changed_since_it_was_signed_gets_no_higher_fee(world: TreasuryWorld) -> None:
    """Stripe was asked about what the first bytes say, and not about a row that someone changed since."""
    await world.owe("ons_one")
    sender = world.sender()
    await sender.step()
    world.chain.pending.clear()
    world.chain.floor = world.chain.fee = 3 * GWEI
    async with world.database.write() as conn:
        await conn.execute(sa.update(payouts_table).values(to_address=SAFE))
    await world.cycles(sender, 10)
    assert (len(world.signer.requests), world.metrics.alarms["row_forged"]) == (1, 1)
    async with world.database.write() as conn:
        await conn.execute(sa.update(payouts_table).values(to_address=BUYER))
    await world.cycles(sender, 6)
    assert await world.status("ons_one") is Status.FINAL


async def test_a_pause_while_the_safe_is_asked_stops_the_higher_fee_of_a_sweep(world: TreasuryWorld) -> None:
    class Slow(FakeColdWallet):
        async def verify(self) -> Verified | Unverified:
            world.pause.sweeps = bool(world.signer.requests)
            return await super().verify()

    world.cold = Slow(world.chain)
    await world.sweep()
    sender = world.sender()
    await sender.step()
    world.chain.pending.clear()
    world.chain.floor = world.chain.fee = 3 * GWEI
    for _ in range(10):
        world.pause.sweeps = False
        await world.cycles(sender, 1)
    assert (world.pause.sweeps, len(world.signer.requests)) == (True, 1)


async def test_a_clock_that_was_set_back_keeps_no_bytes_from_the_nodes(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    await world.sender().step()
    world.chain.pending.clear()
    world.clock.seconds -= 3600
    await world.sender().step()
    assert len(world.chain.received) == 2


async def test_an_old_attempt_that_is_mined_after_all_is_the_payment(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    sender = world.sender()
    await sender.step()
    first = world.chain.received[0]
    world.chain.pending.clear()
    world.chain.floor = world.chain.fee = 3 * GWEI
    await wait(world, sender, 10)
    assert len((await world.transaction("ons_one")).attempts) == 2
    world.chain.pending.clear()
    world.chain.floor = 0
    world.chain.accept(first)
    await world.cycles(sender, 4)
    payout = await world.payout("ons_one")
    assert (payout.status, [tx.hash for tx in world.chain.transfers()]) == (Status.FINAL, [payout.tx_hash])


async def test_on_chains_that_replace_transactions_a_stuck_one_gets_a_higher_fee(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    sender = world.sender(replaces=True, stuck_blocks=3)
    await wait(world, sender, 12)
    tries = (await world.transaction("ons_one")).attempts
    fees = [(attempt.max_fee or 0, attempt.priority_fee or 0) for attempt in tries]
    assert len(fees) >= 2
    assert all(b[0] * 10 >= a[0] * 11 and b[1] * 10 >= a[1] * 11 for a, b in itertools.pairwise(fees))
    await world.cycles(sender, 3)
    assert await world.status("ons_one") is Status.FINAL
    assert len(world.chain.transfers()) == 1
