"""Payouts paid together through PayOnce: one transaction, one outcome for each payment."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from chain.payonce import ADDRESS
from chain.types import to_checksum
from tests.support.hot_wallet import MUSD, SAFE, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury.core.reasons import Reason
from treasury.core.status import Status
from treasury.ledger import service as ledger_service
from treasury.ledger.states import Account
from treasury.payouts.service import reference_text
from treasury.ports import OwnTransaction
from treasury.sender import CHECKPOINTS
from treasury.signers.intent import PayIntent
from treasury.transactions.model import PaymentOutcome
from treasury.transactions.table import batch_payments


@pytest.fixture
def payout_contract() -> str:
    return ADDRESS


def buyer(number: int) -> str:
    return to_checksum("0x" + f"{0xB0B + number:040x}")


async def owe(world: TreasuryWorld, count: int, first: int = 0) -> list[str]:
    """Owe `count` buyers 1, 2, 3 ... MUSD each; return their sessions."""
    sessions = [f"ons_{number}" for number in range(first, first + count)]
    for number, session in enumerate(sessions, start=first):
        await world.owe(session, (number + 1) * MUSD, buyer(number))
        world.clock.seconds += 1
    return sessions


async def statuses(world: TreasuryWorld, sessions: Sequence[str]) -> set[Status]:
    return {await world.status(session) for session in sessions}


def paid_times(world: TreasuryWorld, session: str) -> int:
    reference = bytes.fromhex(reference_text(session)[2:])
    return sum(payment.reference == reference for _, payment in world.chain.payments())


@pytest.mark.parametrize("names", [("fees", "allowance"), ("paid", "estimate_call")])
async def test_the_nodes_are_asked_together_what_does_not_depend_on_each_other(
    world: TreasuryWorld, monkeypatch: pytest.MonkeyPatch, names: tuple[str, str]
) -> None:
    begun = {name: asyncio.Event() for name in names}

    def answered_once_both_are_asked(name: str, other: str) -> None:
        answer = getattr(world.chain, name)

        async def ask(*arguments: Any) -> Any:
            begun[name].set()
            async with asyncio.timeout(5):
                await begun[other].wait()
            return await answer(*arguments)

        monkeypatch.setattr(world.chain, name, ask)

    answered_once_both_are_asked(*names)
    answered_once_both_are_asked(*reversed(names))
    sessions, sender = await owe(world, 1), world.sender()
    await world.cycles(sender, 3)
    assert await statuses(world, sessions) == {Status.FINAL}


async def test_ten_buyers_are_paid_by_one_transaction(world: TreasuryWorld) -> None:
    sessions, sender = await owe(world, 10), world.sender()
    await world.cycles(sender, 3)
    assert await statuses(world, sessions) == {Status.FINAL}
    transactions = {(await world.transaction(session)).id for session in sessions}
    assert len(transactions) == 1 and world.chain.nonce == 1
    batch = await world.transaction(sessions[0])
    assert batch.amount == sum(range(1, 11)) * MUSD and batch.to == ADDRESS and batch.status is Status.FINAL
    assert [payment.session_id for payment in batch.payments] == sessions
    assert {payment.outcome for payment in batch.payments} == {PaymentOutcome.PAID}
    assert len({payment.log_index for payment in batch.payments}) == 10
    assert [paid_times(world, session) for session in sessions] == [1] * 10
    async with world.database.read() as conn:
        accounts = await ledger_service.balances(conn, WALLET, "MUSD")
    assert accounts.get(Account.IN_FLIGHT, 0) == 0 and accounts.get(Account.HELD, 0) == 0


async def test_a_lone_payout_waits_for_no_other(world: TreasuryWorld) -> None:
    await owe(world, 1)
    sender = world.sender()
    await sender.step()
    (intent,) = world.signer.requests
    assert isinstance(intent, PayIntent) and len(intent.payments) == 1
    assert await world.status("ons_0") in {Status.SIGNED, Status.BROADCAST}


async def test_a_payment_that_the_token_refuses_fails_alone(world: TreasuryWorld) -> None:
    sessions, sender = await owe(world, 4), world.sender()
    world.chain.refused.add(buyer(2))
    await world.cycles(sender, 3)
    assert await world.status("ons_2") is Status.REVERTED
    assert await statuses(world, [s for s in sessions if s != "ons_2"]) == {Status.FINAL}
    assert "payout_reverted" in world.metrics.alarms
    batch = await world.transaction("ons_0")
    assert [p.outcome for p in batch.payments] == ["paid", "paid", "failed", "paid"]
    async with world.database.read() as conn:
        accounts = await ledger_service.balances(conn, WALLET, "MUSD")
    assert accounts.get(Account.IN_FLIGHT, 0) == 0


async def test_one_recipient_is_paid_once_in_a_batch(world: TreasuryWorld) -> None:
    for number in range(3):
        await world.owe(f"ons_{number}", MUSD, buyer(number % 2))
        world.clock.seconds += 1
    sender = world.sender()
    await world.cycles(sender, 6)
    assert await statuses(world, ["ons_0", "ons_1", "ons_2"]) == {Status.FINAL}
    first, second = await world.transaction("ons_0"), await world.transaction("ons_2")
    assert first.id != second.id and [len(t.payments) for t in (first, second)] == [2, 1]


async def test_a_payment_that_makes_the_batch_fail_is_found_and_held(world: TreasuryWorld) -> None:
    sessions, sender = await owe(world, 7), world.sender()
    world.chain.unpayable.add(bytes.fromhex(reference_text("ons_3")[2:]))
    await world.cycles(sender, 8)
    bad = await world.payout("ons_3")
    assert (bad.status, bad.reason) == (Status.HELD, Reason.RECIPIENT_REFUSED)
    assert await statuses(world, [s for s in sessions if s != "ons_3"]) == {Status.FINAL}


async def test_what_the_contract_has_paid_is_never_signed(world: TreasuryWorld) -> None:
    await owe(world, 2)
    world.chain.paid_in[(WALLET, bytes.fromhex(reference_text("ons_0")[2:]))] = 50
    await world.cycles(world.sender(), 3)
    held = await world.payout("ons_0")
    assert (held.status, held.reason) == (Status.HELD, Reason.REFERENCE_SPENT)
    assert await world.status("ons_1") is Status.FINAL
    assert paid_times(world, "ons_0") == 0


async def test_too_small_an_allowance_holds_the_payouts_and_says_what_to_do(world: TreasuryWorld) -> None:
    sessions, sender = await owe(world, 3), world.sender()
    world.chain.allowed = 3 * MUSD
    await world.cycles(sender, 3)
    assert await statuses(world, sessions[:2]) == {Status.FINAL}
    held = await world.payout("ons_2")
    assert (held.status, held.reason) == (Status.HELD, Reason.INSUFFICIENT)
    assert world.metrics.alarms["payout_allowance"] == 1
    world.chain.allowed = 2**256 - 1
    await world.cycles(sender, 3)
    assert await world.status("ons_2") is Status.FINAL
    world.chain.allowed = 0
    await owe(world, 1, first=3)
    await world.cycles(sender, 3)
    assert world.metrics.alarms["payout_allowance"] == 2, "it ended in between"


async def test_the_policy_bounds_the_batch(world: TreasuryWorld) -> None:
    sessions = await owe(world, 5)
    world.policy.batch = 2
    await world.cycles(world.sender(), 10)
    assert await statuses(world, sessions) == {Status.FINAL}
    assert world.chain.nonce == 3


async def test_payouts_of_a_lost_database_are_adopted_from_the_chain(world: TreasuryWorld) -> None:
    sessions, sender = await owe(world, 5), world.sender()
    world.chain.refused.add(buyer(4))
    await world.cycles(sender, 3)
    await world.forget()
    # Two sessions are rebuilt before the transaction is read, the others when Stripe is asked about their references.
    await owe(world, 2)
    second = world.sender()
    await world.cycles(second, 12)
    assert await statuses(world, sessions[:4]) == {Status.FINAL}
    assert [paid_times(world, session) for session in sessions[:4]] == [1] * 4
    assert (await world.transaction("ons_0")).id == (await world.transaction("ons_3")).id
    assert world.chain.nonce == 1 or paid_times(world, "ons_4") == 0


async def test_a_payment_that_failed_before_its_purchase_was_known_again_is_paid(world: TreasuryWorld) -> None:
    (session,), sender = await owe(world, 1), world.sender()
    world.chain.refused.add(buyer(0))
    await sender.step()
    world.chain.mine()
    await world.forget()
    world.chain.refused.clear()
    second, world.stripe.down = world.sender(), True
    await world.cycles(second, 12)
    world.stripe.down = False
    await world.cycles(second, 12)
    assert await world.status(session) is Status.FINAL
    assert paid_times(world, session) == 1


async def test_a_batch_that_failed_before_its_purchase_was_known_again_carries_out_nothing(
    world: TreasuryWorld,
) -> None:
    (session,), sender = await owe(world, 1), world.sender()
    await sender.step()
    world.chain.reverts = True
    world.chain.mine()
    world.chain.reverts = False
    await world.forget()
    second, world.stripe.down = world.sender(), True
    await world.cycles(second, 12)
    world.stripe.down = False
    await world.cycles(second, 12)
    assert await world.status(session) is Status.FINAL
    assert paid_times(world, session) == 1


async def test_another_process_finishes_a_batch_after_a_crash_at_each_step(world: TreasuryWorld) -> None:
    class Crash(Exception):
        pass

    for number, step in enumerate(CHECKPOINTS):
        sessions = await owe(world, 3, first=10 * number)

        def crash(name: str, at: str = step) -> None:
            if name == at:
                raise Crash

        dying = world.sender(checkpoint=crash)
        with pytest.raises(Crash):
            await world.cycles(dying, 4)
        world.chain.mine()
        await world.cycles(world.sender(), 5)
        assert await statuses(world, sessions) == {Status.FINAL}, step
        assert [paid_times(world, session) for session in sessions] == [1] * 3, step


async def test_a_reorganized_batch_is_followed_again(world: TreasuryWorld) -> None:
    sessions, sender = await owe(world, 3), world.sender()
    await world.cycles(sender, 2)
    assert await statuses(world, sessions) == {Status.FINAL}
    batch = await world.transaction("ons_0")
    world.chain.unmine(batch.attempts[0].hash)
    await sender.step()
    assert await statuses(world, sessions) == {Status.BROADCAST}
    await world.cycles(sender, 4)
    assert await statuses(world, sessions) == {Status.FINAL}
    assert [paid_times(world, session) for session in sessions] == [1] * 3


async def test_a_displaced_batch_leaves_each_of_its_payouts_unpaid(world: TreasuryWorld) -> None:
    sessions, sender = await owe(world, 2), world.sender()
    world.chain.deaf = True
    await sender.step()
    world.chain.deaf = False
    (intent,) = world.signer.requests
    assert isinstance(intent, PayIntent)
    foreign = OwnTransaction("0x" + "f0" * 32, intent.nonce, TOKEN, b"\x01" * 5, 0)
    world.chain.pending[foreign.nonce], world.chain.values[foreign.hash] = foreign, 0
    world.chain.mine()
    await world.cycles(sender, 4, mine=True)
    assert await statuses(world, sessions) == {Status.REVERTED}
    assert {(await world.payout(session)).reason for session in sessions} == {Reason.DISPLACED}


async def test_a_batch_whose_rows_were_changed_gets_no_higher_fee(world: TreasuryWorld) -> None:
    await owe(world, 2)
    sender = world.sender(gone_blocks=1)
    await sender.step()
    batch = await world.transaction("ons_0")
    async with world.database.write() as conn:
        forged = sa.update(batch_payments).where(batch_payments.c.position == 1).values(to_address=SAFE)
        await conn.execute(forged.where(batch_payments.c.transaction_id == batch.id))
    world.chain.pending.clear()
    world.chain.fee = world.chain.floor = 2 * 10**9
    for _ in range(6):
        world.clock.seconds += 15
        world.chain.head += 1
        await sender.step()
    assert len(world.signer.requests) == 1
    assert world.metrics.alarms["row_forged"] == 1


async def test_a_forgotten_batch_is_signed_again_for_a_higher_fee(world: TreasuryWorld) -> None:
    sessions = await owe(world, 3)
    sender = world.sender(gone_blocks=1)
    await sender.step()
    world.chain.pending.clear()
    world.chain.fee = world.chain.floor = 2 * 10**9
    for _ in range(6):
        world.clock.seconds += 15
        world.chain.head += 1
        await sender.step()
    first, second = world.signer.requests
    assert isinstance(first, PayIntent) and isinstance(second, PayIntent)
    assert (first.nonce, first.payments) == (second.nonce, second.payments) and second.max_fee > first.max_fee
    await world.cycles(sender, 3)
    assert await statuses(world, sessions) == {Status.FINAL}
    assert [paid_times(world, session) for session in sessions] == [1] * 3
