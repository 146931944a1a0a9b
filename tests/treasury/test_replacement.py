"""Fees that were too low, nonces nobody signed for, and more than one transaction at a time."""

import asyncio
import itertools

import pytest
import sqlalchemy as sa

from tests.support.fake_chain import FakeChain
from tests.support.fake_cold_wallet import FakeColdWallet
from tests.support.hot_wallet import BUYER, CHAIN_ID, MUSD, SAFE, TOKEN, WALLET
from tests.support.treasury_world import Crash, TreasuryWorld
from tests.treasury.test_crash import dies_at
from treasury.cold.identity import Unverified, Verified
from treasury.core.facts import OperationFact
from treasury.core.status import Status
from treasury.payouts import service as payouts_service
from treasury.payouts.table import payouts as payouts_table
from treasury.ports import OwnTransaction
from treasury.signers.intent import Intent, SelfTransferIntent, TransferIntent
from treasury.signers.protocol import Signed, SignerUnavailable
from treasury.transactions import service as transactions_service
from treasury.transactions.states import TransactionFact

GWEI = 10**9


async def wait(world: TreasuryWorld, sender: object, blocks: int) -> None:
    """Blocks without this wallet's transactions in them."""
    for _ in range(blocks):
        await sender.step()  # type: ignore[attr-defined]
        world.clock.seconds += 15
        world.chain.head += 1


async def test_a_transaction_evicted_by_a_rising_floor_is_signed_again_for_more_and_paid_once(
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
    """Stripe was asked for what the first bytes say; a hand in the database asks nobody."""
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


async def test_where_the_chain_replaces_a_stuck_one_gets_a_higher_fee(world: TreasuryWorld) -> None:
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


async def test_a_pipeline_signs_ahead_in_order_and_no_further_than_its_depth(world: TreasuryWorld) -> None:
    world.chain.room = 10
    for number in range(6):
        await world.owe(f"ons_{number}")
        world.clock.seconds += 1
    sender = world.sender(max_in_flight=4)
    await sender.step()
    assert [request.nonce for request in world.signer.requests] == [0, 1, 2, 3]
    assert len(world.chain.pending) == 4
    await world.cycles(sender, 10)
    assert [(await world.transaction(f"ons_{number}")).nonce for number in range(6)] == list(range(6))
    assert len(world.chain.transfers()) == 6


async def test_what_is_mined_in_time_costs_no_search_and_no_question_who_has_forgotten_it(world: TreasuryWorld) -> None:
    class Counted(FakeChain):
        asked = 0

        async def gone(self, tx_hash: str) -> bool:
            self.asked += 1
            return await super().gone(tx_hash)

        async def outgoing(self, from_block: int, to_block: int) -> list[OwnTransaction]:
            self.asked += 1
            return await super().outgoing(from_block, to_block)

    world.chain = chain = Counted(room=10)
    sender = world.sender(max_in_flight=2)
    for number in range(6):
        await world.owe(f"ons_{number}")
    for _ in range(14):
        while await sender.step():
            pass
        world.clock.seconds += 1
        chain.mine(1)
    assert [await world.status(f"ons_{number}") for number in range(6)] == [Status.FINAL] * 6
    assert chain.asked == 0


async def test_nothing_is_sent_behind_one_that_no_node_takes_and_nothing_more_is_signed(world: TreasuryWorld) -> None:
    world.chain.room, world.chain.deaf = 10, True
    for number in range(6):
        await world.owe(f"ons_{number}")
        world.clock.seconds += 1
    sender = world.sender(max_in_flight=4)
    await sender.step()
    assert (len(world.signer.requests), len(world.chain.received)) == (4, 1)
    world.clock.seconds += 10
    await sender.step()
    assert (len(world.signer.requests), len(world.chain.received)) == (4, 2)
    world.chain.deaf = False
    await world.cycles(sender, 10)
    assert len(world.chain.transfers()) == 6


async def test_signatures_of_a_pipeline_are_asked_for_side_by_side(world: TreasuryWorld) -> None:
    """All four are under way before the first is given: else each would wait for the ones before it."""
    world.chain.room = 10
    all_asked, asked, sign = asyncio.Event(), [0], world.signer.sign

    async def slow(intent: Intent) -> Signed:
        asked[0] += 1
        if asked[0] == 4:
            all_asked.set()
        await asyncio.wait_for(all_asked.wait(), 60)
        return await sign(intent)

    world.signer.sign = slow  # type: ignore[method-assign]
    for number in range(4):
        await world.owe(f"ons_{number}")
    await world.sender(max_in_flight=4).step()
    assert len(world.chain.pending) == 4


@pytest.mark.parametrize("broken", [0, 2])
async def test_what_is_signed_behind_a_failed_signature_is_dropped_and_nothing_is_lost(
    world: TreasuryWorld, broken: int
) -> None:
    world.chain.room = 10
    for number in range(4):
        await world.owe(f"ons_{number}")
        world.clock.seconds += 1
    sign, failed = world.signer.sign, [False]

    async def fails_once(intent: Intent) -> Signed:
        if intent.nonce == broken and not failed[0]:
            failed[0] = True
            raise SignerUnavailable("The signer is down.")
        return await sign(intent)

    world.signer.sign = fails_once  # type: ignore[method-assign]
    sender = world.sender(max_in_flight=4)
    await sender.step()
    assert len(world.chain.received) == broken
    await world.cycles(sender, 8)
    assert [(await world.transaction(f"ons_{number}")).nonce for number in range(4)] == list(range(4))
    assert len(world.chain.transfers()) == 4
    assert "nonce_stranded" not in world.metrics.alarms


async def test_a_pipeline_promises_no_coin_twice(world: TreasuryWorld) -> None:
    world.chain.room, world.chain.balance = 10, 12 * MUSD
    for number in range(4):
        await world.owe(f"ons_{number}", 5 * MUSD)
        world.clock.seconds += 1
    await world.sender(max_in_flight=4).step()
    assert len(world.signer.requests) == 2
    assert (await world.payout("ons_2")).reason == "insufficient"


async def test_a_pipeline_promises_no_gas_twice(world: TreasuryWorld) -> None:
    world.chain.room, world.chain.native = 10, 2 * 80_000 * GWEI + 1
    for number in range(4):
        await world.owe(f"ons_{number}")
        world.clock.seconds += 1
    await world.sender(max_in_flight=4).step()
    assert len(world.signer.requests) == 2


async def test_a_nonce_that_nobody_signed_for_is_spent_by_a_transfer_of_nothing(world: TreasuryWorld) -> None:
    world.chain.room = 10
    await world.owe("ons_one")
    with pytest.raises(Crash):
        await world.sender(dies_at("nonce_taken")).step()  # type: ignore[arg-type]
    # A later nonce is out already, as in a pipeline whose first signature failed.
    second = await world.owe("ons_two", MUSD)
    reference = bytes.fromhex((await world.payout("ons_two")).reference[2:])
    later = TransferIntent(CHAIN_ID, WALLET, 1, TOKEN, BUYER, MUSD, reference, 80_000, GWEI, 1)
    signed, now = await world.signer.sign(later), world.clock.now()
    async with world.database.write() as conn:
        (row,) = await transactions_service.allocate_nonces(conn, [(later, second)], now=now, ids=world.ids)
        await transactions_service.add_attempt(conn, row, signed, intent=later, now=now, ids=world.ids)
        await transactions_service.move(conn, row, TransactionFact.STORED, now=now)
        await payouts_service.move(conn, second, OperationFact.READY, now=now, transaction_id=row)
        await payouts_service.move(conn, second, OperationFact.SIGNED, now=now, tx_hash=signed.hash)
    world.signer.requests.clear()
    await world.cycles(world.sender(), 10)
    assert [type(request) for request in world.signer.requests] == [SelfTransferIntent, TransferIntent]
    assert (await world.transaction("ons_one")).nonce == 2
    assert {await world.status("ons_one"), await world.status("ons_two")} == {Status.FINAL}
    assert world.metrics.alarms["nonce_stranded"] == 1
