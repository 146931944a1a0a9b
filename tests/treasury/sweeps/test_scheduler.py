"""A sweep of a balance above its ceiling is proposed once per window, to a verified Safe."""

import pytest

from kit.audit.actor import Actor
from kit.http.problems import Problem
from tests.support.fake_planner import ExcessPlanner
from tests.support.hot_wallet import MUSD, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury.core.status import Status
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.states import SweepKind


async def rows(world: TreasuryWorld) -> list[tuple[Status, int, str]]:
    async with world.database.read() as conn:
        return sorted((row.status, row.amount, row.proposed_by) for row in await sweeps_service.page(conn))


async def test_a_balance_above_the_ceiling_is_swept_in_a_small_first_step_and_then_to_the_target(
    world: TreasuryWorld,
) -> None:
    world.planner = ExcessPlanner()
    world.chain.balance = 1300 * MUSD
    sender = world.sender()
    await world.cycles(sender, 6)
    assert await rows(world) == [(Status.FINAL, 100 * MUSD, "sweeper")]
    assert world.metrics.cold_proved is True
    world.clock.seconds += 900
    await world.cycles(sender, 6)
    assert (Status.AWAITING_APPROVAL, 700 * MUSD, "sweeper") in await rows(world)
    assert len(world.chain.transfers()) == 1
    async with world.database.write() as conn:
        (waiting,) = await sweeps_service.active(conn, WALLET, SweepKind.SWEEP)
        verdict = await world.cold.verify()
        now = world.clock.now()
        await world.sweep_proposals.approve(conn, waiting.id, verdict, "1", Actor("key_bert", "bert"), now=now)
    await world.cycles(sender, 6)
    assert world.chain.balance == 500 * MUSD
    world.clock.seconds += 900
    await world.cycles(sender, 3)
    assert len(await rows(world)) == 2


async def test_below_the_ceiling_and_without_a_schedule_nothing_is_proposed(world: TreasuryWorld) -> None:
    world.planner = ExcessPlanner()
    world.chain.balance = 1000 * MUSD
    await world.cycles(world.sender(), 3)
    world.chain.balance = 5000 * MUSD
    world.planner.minutes = None
    await world.cycles(world.sender(), 3)
    assert await rows(world) == []


async def test_towards_a_safe_that_does_not_prove_itself_nothing_is_proposed_and_it_alarms(
    world: TreasuryWorld,
) -> None:
    world.planner = ExcessPlanner()
    world.chain.balance = 5000 * MUSD
    world.cold.reasons = ("It has modules.",)
    await world.cycles(world.sender(), 8)
    assert await rows(world) == []
    assert world.metrics.cold_proved is False
    assert world.metrics.alarms["cold_wallet_unverified"] == 1
    async with world.database.write() as conn:
        with pytest.raises(Problem) as problem:
            await world.sweep_proposals.sweep(
                conn, "MUSD", MUSD, await world.cold.verify(), Actor("k", "p"), now=world.clock.now()
            )
    assert problem.value.code == "cold_wallet_unverified"
