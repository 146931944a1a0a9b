"""The database is older than signed bytes that no block contains yet: nobody is paid twice."""

from collections import Counter

import pytest
import sqlalchemy as sa

from tests.support.hot_wallet import BUYER, CHAIN_ID, HOT_WALLET, MUSD, SAFE, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury.core.leader import deepest_pipeline
from treasury.core.status import Status
from treasury.payouts.table import payouts
from treasury.ports import OwnTransaction
from treasury.sender import Sender
from treasury.signers.intent import NativeTransferIntent, Purpose, SelfTransferIntent, TransferIntent
from treasury.transactions.table import attempts, batch_payments, transactions

pytestmark = pytest.mark.both_ways


def payments(world: TreasuryWorld) -> Counter[str]:
    """Count the mined payments by reference."""
    return Counter(payment.reference.hex() for _, payment in world.chain.payments())


def empty_nonces(world: TreasuryWorld) -> list[int]:
    """Return the nonces of the mined empty transfers, lowest first."""
    return sorted(tx.nonce for tx in world.chain.transfers() if tx.to == WALLET and not tx.data)


async def settle(world: TreasuryWorld, sender: Sender, blocks: int = 12) -> None:
    """Run the sender over some blocks, one at a time, until nothing moves in each."""
    for _ in range(blocks):
        while await sender.step():
            pass
        world.clock.seconds += 4
        world.chain.mine(blocks=1)


async def sign_and_lose(world: TreasuryWorld, sessions: tuple[str, ...], depth: int) -> dict[int, OwnTransaction]:
    """Sign payouts, then restore a database from before them; return their bytes by nonce as a node holds them."""
    world.chain.room = depth
    for session in sessions:
        await world.owe(session)
        world.clock.seconds += 1
    world.policy.batch = 1  # so that the contract, too, has a transaction for each
    sender = world.sender(max_in_flight=depth)
    while await sender.step():
        pass
    world.policy.batch = 100
    waiting = dict(world.chain.pending)
    assert len(waiting) == min(depth, len(sessions))
    await world.forget()
    world.signer.requests.clear()
    return waiting


@pytest.mark.parametrize("rebuilt", ["before the block", "after the block"])
async def test_old_bytes_are_mined_while_a_younger_payout_waits_at_their_nonce(
    world: TreasuryWorld, rebuilt: str
) -> None:
    """No person declares the restore, and no node admits that it knows the bytes."""
    waiting = await sign_and_lose(world, ("ons_a",), 1)
    world.chain.pending.clear()
    sender = world.sender()
    await world.owe("ons_b")
    world.chain.deaf = True  # nodes that still hold the bytes take no others with their nonce
    await sender.step()
    world.chain.deaf = False
    world.chain.pending.update(waiting)
    if rebuilt == "before the block":
        await world.owe("ons_a")
    world.chain.mine(blocks=1)
    await world.owe("ons_a")
    await settle(world, sender)
    assert set(payments(world).values()) == {1}
    assert await world.status("ons_a") is Status.FINAL
    assert (await world.payout("ons_b")).reason == "displaced", "two persons let it be paid again"


@pytest.mark.parametrize("depth", [1, 4])
async def test_a_declared_restore_spends_the_depth_of_the_pipeline_before_anything_is_paid(
    world: TreasuryWorld, depth: int
) -> None:
    """The trace that no other guard stops: a node forgot the first bytes, so the younger payout takes their nonce."""
    waiting = await sign_and_lose(world, ("ons_a", "ons_b"), depth)
    await world.declare_restore(depth)
    sender = world.sender(max_in_flight=depth)
    await world.owe("ons_b")
    world.chain.pending.clear()
    await sender.step()
    world.chain.mine(blocks=1)
    world.chain.pending.update({nonce: tx for nonce, tx in waiting.items() if nonce >= world.chain.nonce})
    world.chain.mine(blocks=1)
    await settle(world, sender)
    await world.owe("ons_a")
    await settle(world, sender)
    assert set(payments(world).values()) == {1}
    assert len(payments(world)) == 2
    assert {await world.status("ons_a"), await world.status("ons_b")} == {Status.FINAL}
    assert await world.open_restore() is None
    assert set(world.metrics.alarms) <= {"unknown_nonces"}


@pytest.mark.parametrize("depth", [1, 4])
async def test_old_bytes_that_take_a_nonce_are_adopted_without_an_alarm(world: TreasuryWorld, depth: int) -> None:
    """Every old transaction is mined in spite of the restore; its buyer is not paid again, however late the session is rebuilt."""
    sessions = ("ons_a", "ons_b", "ons_c")[:depth]
    await sign_and_lose(world, sessions, depth)
    await world.declare_restore(depth)
    world.stripe.down = True
    sender = world.sender(max_in_flight=depth)
    await settle(world, sender, 4)
    assert await world.open_restore() is not None, "what took the nonces is not known yet"
    world.stripe.down = False
    await settle(world, sender)
    assert {await world.status(session) for session in sessions} == {Status.FINAL}
    assert set(payments(world).values()) == {1}
    assert len(empty_nonces(world)) == depth, "as many as the pipeline is deep, behind the last old one"
    assert await world.open_restore() is None
    assert world.metrics.alarms == {}
    await world.owe("ons_new")
    await settle(world, sender, 4)
    assert await world.status("ons_new") is Status.FINAL


@pytest.mark.parametrize("depth", [1, 4])
async def test_a_restore_that_lost_nothing_costs_some_empty_transfers(world: TreasuryWorld, depth: int) -> None:
    world.chain.room = depth
    await world.owe("ons_a")
    sender = world.sender(max_in_flight=depth)
    await settle(world, sender, 4)
    await world.declare_restore(depth)
    await world.owe("ons_b")
    world.signer.requests.clear()
    await settle(world, world.sender(max_in_flight=depth))
    kinds = [(request.purpose, request.nonce) for request in world.signer.requests]
    assert kinds == [*((Purpose.RESTORE, 1 + i) for i in range(depth)), (Purpose.PAYOUT, 1 + depth)]
    assert await world.status("ons_b") is Status.FINAL
    assert world.metrics.alarms == {}


async def test_a_shallow_process_spends_as_much_as_the_deepest_ever_had_in_flight(world: TreasuryWorld) -> None:
    world.chain.room = 4
    await world.owe("ons_a")
    await settle(world, world.sender(max_in_flight=4), 4)
    async with world.database.read() as conn:
        depth = await deepest_pipeline(conn, HOT_WALLET)
    assert depth == 4
    await world.declare_restore(depth)
    await settle(world, world.sender(max_in_flight=1))
    assert len(empty_nonces(world)) == 4


async def test_a_pause_does_not_stop_the_empty_transfers(world: TreasuryWorld) -> None:
    await world.owe("ons_a")
    await world.declare_restore(2)
    world.pause.payouts = world.pause.sweeps = True
    sender = world.sender()
    await settle(world, sender)
    assert empty_nonces(world) == [0, 1]
    assert payments(world) == {}
    world.pause.payouts = False
    await settle(world, sender)
    assert await world.status("ons_a") is Status.FINAL


async def test_a_second_restore_does_not_trust_what_the_first_has_spent(world: TreasuryWorld) -> None:
    """The backup holds an open restore with one empty transfer; its others, and a payout behind them, are lost."""
    first = await world.declare_restore(1)
    await settle(world, world.sender())
    await sign_and_lose(world, ("ons_a",), 1)
    second = await world.declare_restore(1)
    third = await world.declare_restore(1)
    assert len({first.id, second.id, third.id}) == 3
    sender = world.sender()
    await settle(world, sender)
    assert set(payments(world).values()) == {1}
    assert await world.status("ons_a") is Status.FINAL
    assert empty_nonces(world) == [0, 2], "the first was found on the chain and is one of ours"
    assert "foreign_transaction" not in world.metrics.alarms


async def test_a_restore_that_is_declared_while_a_payout_is_chosen_wins(world: TreasuryWorld) -> None:
    await world.owe("ons_a")
    declared = False
    asked = world.stripe.owed

    async def owed(session_id: str, stripe_session_id: str) -> object:
        nonlocal declared
        if not declared:
            declared = True
            await world.declare_restore(1)
        return await asked(session_id, stripe_session_id)

    world.stripe.owed = owed  # type: ignore[method-assign, assignment]
    await settle(world, world.sender())
    assert [request.purpose for request in world.signer.requests] == [Purpose.RESTORE, Purpose.PAYOUT]


async def test_two_leaders_spend_each_nonce_once(world: TreasuryWorld) -> None:
    await world.owe("ons_a")
    await world.declare_restore(3)
    one, other = world.sender(), world.sender()
    for _ in range(12):
        await one.step()
        await other.step()
        world.clock.seconds += 4
        world.chain.mine(blocks=1)
    assert empty_nonces(world) == [0, 1, 2]
    assert await world.status("ons_a") is Status.FINAL


async def test_a_node_that_counts_unknown_bytes_stops_payments_until_nonces_are_spent(world: TreasuryWorld) -> None:
    """A failover has lost the last writes, and no person knows. One node still holds the bytes and is never heard of again."""
    waiting = await sign_and_lose(world, ("ons_a", "ons_b"), 4)
    world.chain.pending.clear()
    world.chain.claimed_counts = {"three": 2}
    sender = world.sender(max_in_flight=4)
    await world.owe("ons_b")
    await sender.step()
    world.chain.claimed_counts = {}
    world.chain.mine(blocks=1)
    world.chain.pending.update({nonce: tx for nonce, tx in waiting.items() if nonce >= world.chain.nonce})
    await settle(world, sender)
    await world.owe("ons_a")
    await settle(world, sender)
    assert set(payments(world).values()) == {1}
    assert {await world.status("ons_a"), await world.status("ons_b")} == {Status.FINAL}
    assert world.metrics.alarms["unknown_bytes"] == 1


async def test_the_trace_that_remains_if_no_person_declares_the_restore(
    world: TreasuryWorld, request: pytest.FixtureRequest
) -> None:
    """Transfers may pay twice here; the contract refuses the second payment."""
    if world.contract is None:
        reason = "no node shows the bytes and no person declares the restore: docs/decisions/0019"
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    waiting = await sign_and_lose(world, ("ons_a", "ons_b"), 4)
    world.chain.pending.clear()
    sender = world.sender(max_in_flight=4)
    await world.owe("ons_b")
    await sender.step()
    world.chain.mine(blocks=1)
    world.chain.pending[1] = waiting[1]
    await settle(world, sender)
    assert set(payments(world).values()) == {1}


async def test_a_lying_node_delays_payments_by_some_blocks_and_raises_an_alarm(world: TreasuryWorld) -> None:
    world.chain.claimed_counts = {"three": 1_000}
    await world.owe("ons_a")
    sender = world.sender()
    await settle(world, sender, 40)
    assert await world.status("ons_a") is Status.FINAL
    assert len(empty_nonces(world)) == 16, "never more than a pipeline can be deep"
    assert world.metrics.alarms == {"unknown_bytes": 1}


async def test_a_database_that_goes_back_under_the_running_leader_is_noticed(world: TreasuryWorld) -> None:
    """A replica that lost the last writes was promoted, and the same process goes on with it."""
    sender = world.sender()
    await world.owe("ons_a")
    await settle(world, sender, 3)
    await world.owe("ons_b")
    await sender.step()
    lost = await world.transaction("ons_b")
    async with world.database.write() as conn:
        await conn.execute(sa.delete(attempts).where(attempts.c.transaction_id == lost.id))
        await conn.execute(sa.delete(batch_payments).where(batch_payments.c.transaction_id == lost.id))
        await conn.execute(sa.delete(transactions).where(transactions.c.id == lost.id))
        unpaid = {"status": Status.PLANNED, "transaction_id": None, "tx_hash": None, "block_number": None}
        await conn.execute(sa.update(payouts).where(payouts.c.session_id == "ons_b").values(**unpaid))
    world.clock.seconds += 2
    await sender.step()
    assert world.metrics.alarms["lost_writes"] == 1
    await settle(world, sender)
    assert set(payments(world).values()) == {1}
    assert await world.status("ons_b") is Status.FINAL


async def test_a_lost_sweep_of_the_gas_token_is_no_theft_while_a_restore_is_open(world: TreasuryWorld) -> None:
    intent = NativeTransferIntent(CHAIN_ID, WALLET, 0, SAFE, 5, 30_000, 10**9, 10**8)
    world.chain.accept((await world.signer.sign(intent)).raw)
    await world.declare_restore(1)
    await settle(world, world.sender())
    assert world.metrics.alarms == {"unknown_sweep": 1}
    assert await world.open_restore() is not None, "two persons explain it first"


async def test_the_signer_makes_no_empty_transfer_of_another_shape(world: TreasuryWorld) -> None:
    good = SelfTransferIntent(CHAIN_ID, WALLET, 0, 21_000, 10**9, 0, Purpose.RESTORE)
    payment = TransferIntent(CHAIN_ID, WALLET, 0, TOKEN, BUYER, MUSD, None, 80_000, 10**9, 0, Purpose.RESTORE)
    too_much = SelfTransferIntent(CHAIN_ID, WALLET, 0, 80_000, 10**9, 0, Purpose.RESTORE)
    other_purpose = SelfTransferIntent(CHAIN_ID, WALLET, 0, 21_000, 10**9, 0, Purpose.PAYOUT)
    objections = [world.signer.limits.objection(intent) for intent in (good, payment, too_much, other_purpose)]
    assert objections[0] is None
    assert all(objection is not None for objection in objections[1:])
