"""Payouts that wait for a person: approved, rejected, retried by two persons."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.actor import Actor
from kit.http.problems import Problem
from tests.support.hot_wallet import BUYER, MUSD, WALLET
from tests.support.payout_decisions import ANOTHER_WALLET, decide, refusal_code, reverted_payout
from tests.support.treasury_world import TreasuryWorld
from treasury import paid_elsewhere
from treasury.core.status import Status
from treasury.ledger import service as ledger_service
from treasury.ledger.states import HOT, Account
from treasury.payouts import approvals
from treasury.payouts.table import payouts as payouts_table
from treasury.sweeps import approvals as deciding_sweeps
from treasury.sweeps.table import sweeps as sweeps_table


class Overtaken:
    """A connection on which the sender is quicker: behind the first statement the row has a nonce."""

    def __init__(self, conn: AsyncConnection, table: sa.Table) -> None:
        self._conn = conn
        self._taken: Any = sa.update(table).values(status=Status.APPROVED, transaction_id="txn_1")

    async def execute(self, *statement: Any) -> Any:
        answer = await self._conn.execute(*statement)
        if self._taken is not None:
            await self._conn.execute(self._taken)
            self._taken = None
        return answer


async def test_a_payout_above_a_limit_waits_for_a_person_and_blocks_no_other(world: TreasuryWorld) -> None:
    world.policy.approval_above = 10 * MUSD
    await world.owe("ons_large", 11 * MUSD)
    world.clock.seconds += 1
    await world.owe("ons_small", MUSD)
    sender = world.sender()
    await world.cycles(sender)
    large = await world.payout("ons_large")
    assert (large.status, large.reason) == (Status.AWAITING_APPROVAL, "awaiting_approval")
    assert await world.status("ons_small") is Status.FINAL
    await decide(world, approvals.approve, "ons_large", person="anna")
    assert await refusal_code(world, approvals.approve, "ons_large", person="anna") == "not_possible"
    await world.cycles(sender)
    assert await world.status("ons_large") is Status.FINAL


async def test_a_rejected_payout_is_not_paid_until_two_persons_try_again(world: TreasuryWorld) -> None:
    world.policy.approval_above = 0
    await world.owe("ons_one")
    sender = world.sender()
    await world.cycles(sender, 2)
    await decide(world, approvals.reject, "ons_one")
    await world.cycles(sender, 2)
    assert await world.status("ons_one") is Status.REJECTED
    assert world.signer.requests == []
    await decide(world, approvals.retry, "ons_one", person="anna")
    assert await world.status("ons_one") is Status.REJECTED
    assert await refusal_code(world, approvals.retry, "ons_one", person="anna") == "self_approval"
    await decide(world, approvals.retry, "ons_one", person="bert")
    await world.cycles(sender)
    assert await world.status("ons_one") is Status.FINAL


async def test_a_reverted_payout_is_tried_again_once_its_first_attempt_is_proved_dead(world: TreasuryWorld) -> None:
    sender = await reverted_payout(world)
    first = (await world.payout("ons_one")).tx_hash
    for person in ("anna", "bert"):
        await decide(world, approvals.retry, "ons_one", person=person)
    await world.cycles(sender)
    payout = await world.payout("ons_one")
    assert (payout.status, payout.tx_hash != first) == (Status.FINAL, True)
    assert len(world.chain.transfers()) == 1


async def test_an_attempt_that_turns_out_to_have_paid_is_not_made_again(world: TreasuryWorld) -> None:
    """The agreed outcome was "reverted", and a reorganisation changed it."""
    sender = await reverted_payout(world)
    for mined in world.chain.mined.values():
        mined.reverted = False
    for person in ("anna", "bert"):
        await decide(world, approvals.retry, "ons_one", person=person)
    world.clock.seconds += 1
    await world.owe("ons_two")
    await world.cycles(sender, 4)
    payout = await world.payout("ons_one")
    assert (payout.status, payout.reason) == (Status.HELD, "not_proved_dead")
    assert await world.status("ons_two") is Status.FINAL, "no payout waits behind it"
    assert len(world.chain.transfers()) == 2


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("mined_again", [False, True])
async def test_a_failure_that_the_chain_takes_back_is_followed_again(
    world: TreasuryWorld, *, mined_again: bool, asked: bool
) -> None:
    """It succeeds in another block, or in none yet; whether another attempt was asked for meanwhile."""
    sender = await reverted_payout(world)
    (was,) = world.chain.mined.values()
    world.chain.forks[was.block.number] = "0x" + "ee" * 32
    if mined_again:
        was.reverted, was.block = False, world.chain.block(was.block.number)
        world.chain.balance -= 5 * MUSD
    else:
        world.chain.mined.clear()
        world.chain.nonce = 0
    if asked:
        for person in ("anna", "bert"):
            await decide(world, approvals.retry, "ons_one", person=person)
    world.clock.seconds += 1
    await world.owe("ons_two")
    await world.cycles(sender, 8)
    first = await world.payout("ons_one")
    assert (first.status, first.tx_hash) == (Status.FINAL, was.tx.hash)
    assert await world.status("ons_two") is Status.FINAL
    assert (len(world.chain.transfers()), world.metrics.alarms["reorg"]) == (2, 1)
    async with world.database.read() as conn:
        books = await ledger_service.balances(conn, WALLET, "MUSD")
    assert sum(books.get(account, 0) for account in HOT) == world.chain.balance
    assert not books.get(Account.SUSPENSE)


async def test_a_no_that_comes_as_the_nonce_is_taken_is_too_late(world: TreasuryWorld) -> None:
    payout, sweep = await world.owe("ons_one"), (await world.sweep()).id
    for decision, table, row in (
        (approvals.reject, payouts_table, payout),
        (deciding_sweeps.reject, sweeps_table, sweep),
    ):
        with pytest.raises(Problem) as problem:
            async with world.database.write() as conn:
                await decision(Overtaken(conn, table), row, Actor("key_anna", "anna"), now=world.clock.now())  # type: ignore[arg-type]
        assert problem.value.code == "not_possible"


async def test_a_signed_payout_can_be_neither_rejected_nor_retried(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    await world.sender().step()
    assert await refusal_code(world, approvals.reject, "ons_one") == "not_possible"
    assert await refusal_code(world, approvals.retry, "ons_one", person="anna") == "not_possible"


async def test_a_recipient_on_the_list_is_held(world: TreasuryWorld) -> None:
    world.policy.list = {BUYER}
    await world.owe("ons_one")
    await world.cycles(world.sender(), 2)
    assert ((await world.payout("ons_one")).reason, world.signer.requests) == ("screening", [])


async def test_a_payout_of_another_hot_wallet_is_settled_and_never_retried_by_this_one(world: TreasuryWorld) -> None:
    await reverted_payout(world)
    assert await refusal_code(world, approvals.retry, "ons_one", person="anna", wallet=ANOTHER_WALLET) == "not_possible"
    assert (await decide(world, paid_elsewhere.settle, "ons_one", note="paid from the Safe")).status is Status.CANCELLED
