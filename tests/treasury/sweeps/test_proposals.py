"""A proposed sweep is the policy's plan, and is refused where the plan is."""

import pytest

from kit.audit.actor import Actor
from kit.http.problems import Problem
from tests.support.fake_planner import ExcessPlanner
from tests.support.hot_wallet import MUSD
from tests.support.treasury_world import TreasuryWorld
from treasury.core.status import Status
from treasury.sweeps.states import SweepKind


async def test_an_order_is_the_plan_and_the_plans_refusal(world: TreasuryWorld) -> None:
    world.planner = ExcessPlanner()
    world.chain.balance = 900 * MUSD
    await world.cycles(world.sender(), 1)
    now, verdict = world.clock.now(), await world.cold.verify()
    async with world.database.write() as conn:
        with pytest.raises(Problem) as problem:
            await world.sweep_proposals.sweep(conn, "MUSD", 800 * MUSD, verdict, Actor("key_anna", "anna"), now=now)
        assert problem.value.code == "policy_refused"
        plan = await world.sweep_proposals.plan(conn, "MUSD", 300 * MUSD, now=now)
        made = await world.sweep_proposals.sweep(conn, "MUSD", 300 * MUSD, verdict, Actor("key_anna", "anna"), now=now)
    assert (plan.amount, made.amount, made.status) == (100 * MUSD, 100 * MUSD, Status.APPROVED)


async def test_a_panic_is_one_proposal_for_each_asset(world: TreasuryWorld) -> None:
    world.planner = ExcessPlanner()
    await world.cycles(world.sender(), 1)
    async with world.database.write() as conn:
        made = await world.sweep_proposals.panic(
            conn, await world.cold.verify(), Actor("key_anna", "anna"), now=world.clock.now()
        )
    assert [(sweep.asset, sweep.kind, sweep.status) for sweep in made] == [
        ("MUSD", SweepKind.PANIC, Status.AWAITING_APPROVAL),
        ("BTC", SweepKind.PANIC, Status.AWAITING_APPROVAL),
    ]
