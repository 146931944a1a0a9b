"""The process crashes at each step, and another one takes over: there is one Transfer for each payout."""

import pytest

from tests.support.crashes import AROUND_THE_SIGNATURE, Crash, crash_at
from tests.support.treasury_world import TreasuryWorld
from treasury.core.status import Status
from treasury.sender import CHECKPOINTS

pytestmark = [pytest.mark.starts_first, pytest.mark.both_ways]


@pytest.mark.parametrize("name", CHECKPOINTS)
async def test_death_at_a_checkpoint_pays_once(world: TreasuryWorld, name: str) -> None:
    for session in ("ons_a", "ons_b"):
        await world.owe(session)
        world.clock.seconds += 1
    with pytest.raises(Crash):
        await world.cycles(world.sender(crash_at(name)), 8)
    world.clock.seconds += 60
    await world.cycles(world.sender(), 8)
    assert [await world.status(session) for session in ("ons_a", "ons_b")] == [Status.FINAL, Status.FINAL]
    paid = [(await world.payout(session)).tx_hash for session in ("ons_a", "ons_b")]
    assert sorted(tx.hash for tx in world.chain.transfers()) == sorted(str(tx_hash) for tx_hash in paid)
    assert [(await world.transaction(session)).nonce for session in ("ons_a", "ons_b")] == [0, 1]


@pytest.mark.parametrize("name", AROUND_THE_SIGNATURE)
async def test_death_at_every_second_try_pays_once(world: TreasuryWorld, name: str) -> None:
    for session in ("ons_a", "ons_b", "ons_c"):
        await world.owe(session)
        world.clock.seconds += 1
    for _ in range(3):
        try:
            await world.cycles(world.sender(crash_at(name)), 2)
        except Crash:
            world.chain.mine()
        await world.cycles(world.sender(), 1)
        world.clock.seconds += 60
    await world.cycles(world.sender(), 8)
    assert len(world.chain.transfers()) == 3
    assert {await world.status(session) for session in ("ons_a", "ons_b", "ons_c")} == {Status.FINAL}


async def test_a_leader_that_slept_stores_nothing_and_sends_nothing(world: TreasuryWorld) -> None:
    """It signed, and another process took over and paid; the bytes that it holds when it wakes up are dropped."""
    await world.owe("ons_one")
    second = world.sender()

    class Slow:
        address = world.signer.address

        async def probe(self) -> None: ...

        async def sign(self, intent: object) -> object:
            world.signer.requests.clear()
            signed = await type(world.signer).sign(world.signer, intent)  # type: ignore[arg-type]
            await world.cycles(second, 4)
            return signed

    first = world.sender(signer=Slow())  # type: ignore[arg-type] # it has no close
    assert await first.step() is False
    assert await world.status("ons_one") is Status.FINAL
    assert len(world.chain.transfers()) == 1
    assert len(set(world.chain.received)) == 1


async def test_two_senders_side_by_side_pay_once(world: TreasuryWorld) -> None:
    import asyncio

    for number in range(4):
        await world.owe(f"ons_{number}")
    senders = [world.sender(), world.sender()]
    for _ in range(40):
        await asyncio.gather(*(sender.step() for sender in senders))
        world.clock.seconds += 5
        world.chain.mine()
    assert len(world.chain.transfers()) == 4
    assert {await world.status(f"ons_{number}") for number in range(4)} == {Status.FINAL}


async def test_only_one_leads_while_the_lease_lasts(world: TreasuryWorld) -> None:
    first, second = world.sender(lease_seconds=60), world.sender(lease_seconds=60)
    await world.owe("ons_one")
    assert await first.step() is True
    assert await second.step() is False
    await first.stop()
    await world.cycles(second)
    assert await world.status("ons_one") is Status.FINAL
