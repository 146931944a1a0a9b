"""The causes of alarms about payouts."""

from collections.abc import AsyncIterator

from chain.abi.erc20 import reference_of
from tests.support.alarm_causes.treasury import GWEI, changed, decide, explain, hold, retry, run, use_key
from tests.support.hot_wallet import BUYER, MUSD, SAFE, TOKEN
from tests.support.payout_rows import change
from tests.support.treasury_world import TreasuryWorld
from treasury.payouts import approvals
from treasury.payouts import service as payouts_service
from treasury.ports import Owed


async def payout_payment_mismatch(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.owe("ons_one", paid=False)
    sender = world.sender()
    await world.cycles(sender, 2)
    yield
    world.stripe.owed_by_session["ons_one"] = Owed(5 * MUSD, BUYER)
    await world.cycles(sender, 12)


async def payout_awaiting_approval(world: TreasuryWorld) -> AsyncIterator[None]:
    world.policy.approval_above = MUSD
    await world.owe("ons_one")
    await run(world)
    yield
    await decide(world, approvals.approve)
    await run(world)


async def payout_reverted(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.owe("ons_one")
    with changed(world.chain, reverts=True):
        await run(world)
    yield
    await retry(world)


async def payout_displaced(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.owe("ons_one")
    with changed(world.chain, deaf=True):
        sender = world.sender()
        await sender.step()
        await use_key(world, None)
        await world.cycles(sender, 3)
    yield
    await explain(world)
    await retry(world)


async def payout_insufficient(world: TreasuryWorld) -> AsyncIterator[None]:
    async for _ in hold(world, world.chain, native=1):
        yield


async def payout_fee_ceiling(world: TreasuryWorld) -> AsyncIterator[None]:
    async for _ in hold(world, world.chain, fee=60 * GWEI):
        yield


async def payout_recipient_refused(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.owe("ons_one", to=TOKEN)
    await run(world)
    yield
    await decide(world, approvals.reject)


async def payout_reference_spent(world: TreasuryWorld) -> AsyncIterator[None]:
    await use_key(world, reference_of("ons_one"), amount=3 * MUSD)
    await world.owe("ons_one", 5 * MUSD)
    await run(world)
    await explain(world)
    yield
    await decide(world, approvals.reject)


async def payout_not_proved_dead(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.owe("ons_one")
    with changed(world.chain, reverts=True):
        await run(world)
    (mined,) = world.chain.mined.values()
    mined.reverted = False  # a reorganisation changed the outcome
    await retry(world)
    yield
    mined.reverted = True
    await run(world, 12)


async def payout_screening(world: TreasuryWorld) -> AsyncIterator[None]:
    world.policy.list.add(BUYER)
    await world.owe("ons_one")
    await run(world)
    yield
    world.policy.list.clear()
    async with world.database.write() as conn:
        assert await payouts_service.release_delisted(conn, world.policy.list, now=world.clock.now()) == 1
    await run(world)


async def payout_token_changed(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.owe("ons_one")
    await change(world, "ons_one", token=SAFE)
    sender = world.sender()
    await world.cycles(sender, 3)
    yield
    await change(world, "ons_one", token=TOKEN)
    await world.cycles(sender, 6)
