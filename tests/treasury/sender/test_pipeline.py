"""Several nonces at once: signed concurrently, stored and broadcast in order, with no coin or gas promised twice."""

import asyncio

import pytest

from tests.support.fake_chain import FakeChain
from tests.support.hot_wallet import MUSD
from tests.support.treasury_world import TreasuryWorld
from treasury.core.status import Status
from treasury.ports import OwnTransaction
from treasury.signers.intent import Intent
from treasury.signers.protocol import Signed, SignerUnavailable

GWEI = 10**9


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


async def test_transactions_mined_in_time_cost_no_search_and_no_question_whether_they_are_gone(
    world: TreasuryWorld,
) -> None:
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


async def test_signatures_of_a_pipeline_are_asked_for_concurrently(world: TreasuryWorld) -> None:
    """All four are requested before the first is returned; otherwise each would wait for the ones before it."""
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
async def test_signatures_behind_a_failed_one_are_dropped_and_nothing_is_lost(
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
