"""Batches in histories that are rare: a restore, a reorganization or a lost nonce meets payouts that went another way meanwhile."""

import pytest
import sqlalchemy as sa

from chain.payonce import ADDRESS
from chain.reads.transfer_proof import Proven
from chain.types import BlockRef, Transfer, to_checksum
from kit.audit.actor import Actor
from tests.support.crashes import Crash, crash_at
from tests.support.hot_wallet import CHAIN_ID, MUSD, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury import paid_elsewhere
from treasury.core.status import Status
from treasury.ledger import service as ledger_service
from treasury.ledger.states import Account
from treasury.payouts import approvals
from treasury.payouts.table import payouts
from treasury.ports import OwnTransaction
from treasury.signers.intent import EMPTY_TRANSFER_GAS, SelfTransferIntent
from treasury.transactions import service as transactions_service
from treasury.transactions.states import TransactionFact

ANNA, BERT = Actor("key_anna", "anna"), Actor("key_bert", "bert")


@pytest.fixture
def payout_contract() -> str:
    return ADDRESS


def buyer(number: int) -> str:
    return to_checksum("0x" + f"{0xB0B + number:040x}")


async def owe(world: TreasuryWorld, count: int) -> list[str]:
    sessions = [f"ons_{number}" for number in range(count)]
    for number, session in enumerate(sessions):
        await world.owe(session, (number + 1) * MUSD, buyer(number))
        world.clock.seconds += 1
    return sessions


async def retry(world: TreasuryWorld, session: str) -> None:
    for actor in (ANNA, BERT):
        async with world.database.write() as conn:
            await approvals.retry(conn, (await world.payout(session)).id, actor, wallet=WALLET, now=world.clock.now())


async def test_a_payout_that_is_known_only_after_its_batch_had_failed_is_paid(world: TreasuryWorld) -> None:
    sessions = await owe(world, 2)
    world.chain.reverts = True
    await world.cycles(world.sender(), 3)
    world.chain.reverts = False
    await world.forget()
    # Stripe does not answer yet: the failure is proved before the purchases are known.
    world.stripe.owed_by_session.clear()
    second = world.sender()
    await world.cycles(second, 4)
    await owe(world, 2)
    await world.cycles(second, 6)
    assert {await world.status(session) for session in sessions} == {Status.FINAL}
    assert len(world.chain.payments()) == 2


async def test_a_batch_whose_nonce_is_spent_leaves_its_references_free(world: TreasuryWorld) -> None:
    world.chain.room = 10
    sessions = await owe(world, 2)
    with pytest.raises(Crash):
        await world.sender(crash_at("nonce_taken")).step()
    # A later nonce is signed already.
    later, now = SelfTransferIntent(CHAIN_ID, WALLET, 1, EMPTY_TRANSFER_GAS, 10**9, 1), world.clock.now()
    signed = await world.signer.sign(later)
    async with world.database.write() as conn:
        (row,) = await transactions_service.allocate_nonces(conn, [(later, "nop_later")], now=now, ids=world.ids)
        await transactions_service.add_attempt(conn, row, signed, intent=later, now=now, ids=world.ids)
        await transactions_service.move(conn, row, TransactionFact.STORED, now=now)
    await world.cycles(world.sender(), 10)
    assert {await world.status(session) for session in sessions} == {Status.FINAL}
    assert world.chain.nonce == 3


async def test_a_payout_made_good_by_hand_stays_final_after_a_reorganization(world: TreasuryWorld) -> None:
    await owe(world, 2)
    sender = world.sender()
    world.chain.refused.add(buyer(1))
    await world.cycles(sender, 2)
    assert await world.status("ons_1") is Status.REVERTED
    payout = await world.payout("ons_1")
    async with world.database.write() as conn:
        block = BlockRef(101, "0x" + "cd" * 32)
        moved = Transfer(TOKEN, buyer(77), payout.to, payout.amount, "0x" + "ab" * 32, 0, block)
        proven = Proven(moved, 2, ("one", "two"))
        await paid_elsewhere.settle(conn, payout.id, ANNA, now=world.clock.now(), proven=proven)
    assert await world.status("ons_1") is Status.FINAL
    world.chain.unmine((await world.transaction("ons_0")).attempts[0].hash)
    await sender.step()
    assert await world.status("ons_0") is Status.BROADCAST
    assert await world.status("ons_1") is Status.FINAL
    await world.cycles(sender, 4)
    assert {await world.status(s) for s in ("ons_0", "ons_1")} == {Status.FINAL}
    assert "row_forged" not in world.metrics.alarms


async def test_a_closed_payout_does_not_look_forged_after_a_reorganization(world: TreasuryWorld) -> None:
    await owe(world, 2)
    sender = world.sender()
    world.chain.refused.add(buyer(1))
    await world.cycles(sender, 2)
    async with world.database.write() as conn:
        payout = await world.payout("ons_1")
        await paid_elsewhere.settle(conn, payout.id, ANNA, now=world.clock.now(), note="paid by bank transfer")
    world.chain.unmine((await world.transaction("ons_0")).attempts[0].hash)
    await world.cycles(sender, 5)
    assert await world.status("ons_0") is Status.FINAL
    assert await world.status("ons_1") is Status.CANCELLED
    assert "row_forged" not in world.metrics.alarms


async def test_a_payment_retried_and_then_made_by_its_first_batch_is_final(world: TreasuryWorld) -> None:
    await owe(world, 2)
    sender = world.sender()
    world.chain.refused.add(buyer(1))
    await world.cycles(sender, 2)
    first = await world.transaction("ons_0")
    await retry(world, "ons_1")
    world.chain.refused.clear()
    await sender.step()
    second = await world.transaction("ons_1")
    assert second.id != first.id
    world.chain.pending.clear()
    world.chain.unmine(first.attempts[0].hash)
    await world.cycles(sender, 8)
    assert {await world.status(s) for s in ("ons_0", "ons_1")} == {Status.FINAL}
    assert (await world.payout("ons_1")).tx_hash == first.attempts[0].hash
    assert len([p for _, p in world.chain.payments() if p.to == buyer(1)]) == 1
    async with world.database.read() as conn:
        accounts = await ledger_service.balances(conn, WALLET, "MUSD")
    assert accounts.get(Account.IN_FLIGHT, 0) == 0 and accounts.get(Account.SUSPENSE, 0) == 0


async def test_payments_that_need_more_gas_than_usual_are_made_in_smaller_batches(world: TreasuryWorld) -> None:
    world.chain.payment_gas = 190_000
    sessions = await owe(world, 9)
    await world.cycles(world.sender(), 12)
    assert {await world.status(session) for session in sessions} == {Status.FINAL}
    assert "signer_refused" not in world.metrics.alarms


async def test_a_rejected_payout_that_its_first_batch_pays_after_all_is_final(world: TreasuryWorld) -> None:
    await owe(world, 2)
    sender = world.sender()
    world.chain.refused.add(buyer(1))
    await world.cycles(sender, 2)
    first = (await world.transaction("ons_0")).attempts[0].hash
    await retry(world, "ons_1")
    async with world.database.write() as conn:
        await approvals.reject(conn, (await world.payout("ons_1")).id, ANNA, now=world.clock.now())
    world.chain.refused.clear()
    world.chain.unmine(first)
    await world.cycles(sender, 5)
    assert (await world.payout("ons_1")).tx_hash == first
    assert {await world.status(session) for session in ("ons_0", "ons_1")} == {Status.FINAL}


async def test_a_displaced_batch_with_one_forged_row_frees_the_other_payouts(world: TreasuryWorld) -> None:
    await owe(world, 2)
    sender = world.sender()
    world.chain.deaf = True
    await sender.step()
    world.chain.deaf = False
    async with world.database.write() as conn:
        forged = sa.update(payouts).where(payouts.c.session_id == "ons_1")
        await conn.execute(forged.values(status=Status.HELD))
    foreign = OwnTransaction("0x" + "f0" * 32, 0, TOKEN, b"\x01" * 5, 0)
    world.chain.pending[0], world.chain.values[foreign.hash] = foreign, 0
    world.chain.mine()
    await world.cycles(sender, 4)
    assert await world.status("ons_0") is Status.REVERTED
    assert world.metrics.alarms["row_forged"] and world.metrics.alarms["foreign_transaction"]


async def test_a_payout_that_was_changed_after_its_signature_is_not_final_by_its_batch(world: TreasuryWorld) -> None:
    sessions = await owe(world, 2)
    sender = world.sender()
    await sender.step()
    async with world.database.write() as conn:
        changed = sa.update(payouts).where(payouts.c.session_id == "ons_1")
        await conn.execute(changed.values(amount=900 * MUSD))
    await world.cycles(sender, 3)
    assert [await world.status(session) for session in sessions] == [Status.FINAL, Status.BROADCAST]
    assert world.metrics.alarms["row_forged"]
