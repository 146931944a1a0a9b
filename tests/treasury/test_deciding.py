"""Persons and payouts: approve, reject, try again, settle."""

from collections.abc import Awaitable, Callable

import pytest

from chain.confirm import Proven
from chain.types import BlockRef, Transfer, to_checksum
from kit.problems import Problem
from tests.treasury.fakes import MUSD, TOKEN, WALLET
from tests.treasury.world import BUYER, World
from treasury.payouts import deciding
from treasury.payouts.table import Payout
from treasury.sender import Sender
from treasury.status import Status

ELSE = to_checksum("0x" + "e1" * 20)


async def decide(world: World, verb: Callable[..., Awaitable[Payout]], session: str, **facts: object) -> Payout:
    payout = await world.payout(session)
    if verb is deciding.retry:
        facts.setdefault("wallet", WALLET)
    async with world.database.write() as conn:
        return await verb(conn, payout.id, by=f"key_of_{facts.get('person', 'anna')}", now=world.clock.now(), **facts)


async def refused(world: World, verb: Callable[..., Awaitable[Payout]], session: str, **facts: object) -> str:
    with pytest.raises(Problem) as problem:
        await decide(world, verb, session, **facts)
    return problem.value.code


async def failed(world: World, session: str = "ons_one") -> Sender:
    await world.owe(session)
    sender = world.sender()
    world.chain.reverts = True
    await world.cycles(sender, 3)
    world.chain.reverts = False
    assert await world.status(session) is Status.REVERTED
    return sender


async def test_a_payout_above_a_limit_waits_for_a_person_and_blocks_nobody(world: World) -> None:
    world.policy.approval_above = 10 * MUSD
    await world.owe("ons_large", 11 * MUSD)
    world.clock.seconds += 1
    await world.owe("ons_small", MUSD)
    sender = world.sender()
    await world.cycles(sender)
    large = await world.payout("ons_large")
    assert (large.status, large.reason) == (Status.AWAITING_APPROVAL, "awaiting_approval")
    assert await world.status("ons_small") is Status.FINAL
    await decide(world, deciding.approve, "ons_large", person="anna")
    assert await refused(world, deciding.approve, "ons_large", person="anna") == "not_possible"
    await world.cycles(sender)
    assert await world.status("ons_large") is Status.FINAL


async def test_a_rejected_payout_is_not_paid_until_two_persons_try_again(world: World) -> None:
    world.policy.approval_above = 0
    await world.owe("ons_one")
    sender = world.sender()
    await world.cycles(sender, 2)
    await decide(world, deciding.reject, "ons_one")
    await world.cycles(sender, 2)
    assert await world.status("ons_one") is Status.REJECTED
    assert world.signer.requests == []
    await decide(world, deciding.retry, "ons_one", person="anna")
    assert await world.status("ons_one") is Status.REJECTED
    assert await refused(world, deciding.retry, "ons_one", person="anna") == "self_approval"
    await decide(world, deciding.retry, "ons_one", person="bert")
    await world.cycles(sender)
    assert await world.status("ons_one") is Status.FINAL


async def test_a_reverted_payout_is_tried_again_once_its_first_attempt_is_proved_dead(world: World) -> None:
    sender = await failed(world)
    first = (await world.payout("ons_one")).tx_hash
    for person in ("anna", "bert"):
        await decide(world, deciding.retry, "ons_one", person=person)
    await world.cycles(sender)
    payout = await world.payout("ons_one")
    assert (payout.status, payout.tx_hash != first) == (Status.FINAL, True)
    assert len(world.chain.transfers()) == 1


async def test_an_attempt_that_turns_out_to_have_paid_is_not_made_again(world: World) -> None:
    """The agreed word was "reverted", and a reorganisation made it otherwise."""
    sender = await failed(world)
    for mined in world.chain.mined.values():
        mined.reverted = False
    for person in ("anna", "bert"):
        await decide(world, deciding.retry, "ons_one", person=person)
    await world.cycles(sender, 3)
    payout = await world.payout("ons_one")
    assert (payout.status, payout.reason) == (Status.HELD, "not_proved_dead")
    assert len(world.chain.transfers()) == 1


async def test_a_payout_made_good_elsewhere_is_settled_by_its_proof_or_by_a_word(world: World) -> None:
    await failed(world)
    assert await refused(world, deciding.settle, "ons_one", note=" ") == "validation_failed"

    def proof(amount: int) -> Proven:
        moved = Transfer(TOKEN, ELSE, BUYER, amount, "0x" + "ab" * 32, 0, BlockRef(7, "0x" + "07" * 32))
        return Proven(moved, 3, ("one", "two"))

    assert await refused(world, deciding.settle, "ons_one", proven=proof(4 * MUSD)) == "not_settled"
    settled = await decide(world, deciding.settle, "ons_one", proven=proof(5 * MUSD))
    assert (settled.status, settled.tx_hash) == (Status.FINAL, "0x" + "ab" * 32)
    await failed(world, "ons_two")
    closed = await decide(world, deciding.settle, "ons_two", note="paid in cash")
    assert closed.status is Status.CANCELLED
    assert await refused(world, deciding.retry, "ons_two", person="anna") == "not_possible"


async def test_what_is_on_its_way_can_be_neither_rejected_nor_tried_again(world: World) -> None:
    await world.owe("ons_one")
    await world.sender().step()
    assert await refused(world, deciding.reject, "ons_one") == "not_possible"
    assert await refused(world, deciding.retry, "ons_one", person="anna") == "not_possible"


async def test_a_recipient_on_the_list_is_held(world: World) -> None:
    world.policy.list = {BUYER}
    await world.owe("ons_one")
    await world.cycles(world.sender(), 2)
    assert ((await world.payout("ons_one")).reason, world.signer.requests) == ("screening", [])


async def test_what_another_hot_wallet_owed_is_settled_and_never_tried_by_this_one(world: World) -> None:
    await failed(world)
    assert await refused(world, deciding.retry, "ons_one", person="anna", wallet=ELSE) == "not_possible"
    assert (await decide(world, deciding.settle, "ons_one", note="paid from the Safe")).status is Status.CANCELLED
