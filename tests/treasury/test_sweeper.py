"""The sweeper proposes what is above the ceiling, once a window, to a Safe that proves itself; orders go the same way."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.audit.actor import Actor
from kit.http.problems import Problem
from tests.support.hot_wallet import MUSD, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury import balances
from treasury.core.assets import NATIVE
from treasury.core.status import Status
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.proposals import Plan
from treasury.sweeps.states import Kind


class Excess:
    """Above 1000 MUSD, down to 500; more than 400 needs a person; 100 at first."""

    minutes: timedelta | None = timedelta(minutes=15)

    async def plan(self, conn: AsyncConnection, asset: str, amount: int | None, *, first: bool, now: datetime) -> Plan:
        have = (await balances.available(conn, WALLET, asset)).available
        wanted = have - 500 * MUSD if amount is None else amount
        if wanted > have - 200 * MUSD:
            raise Problem(409, "policy_refused", "assets.MUSD.floor: it would go below the floor")
        amount = min(wanted, 100 * MUSD) if first else wanted
        return Plan(asset, TOKEN, amount, "excess over ceiling", amount > 400 * MUSD, "1", timedelta(hours=24))

    async def panic(self, conn: AsyncConnection) -> list[Plan]:
        both = (("MUSD", TOKEN), ("BTC", NATIVE))
        return [Plan(asset, token, 1, "panic", True, "1", timedelta(hours=24)) for asset, token in both]

    async def due(self, conn: AsyncConnection) -> list[str]:
        return ["MUSD"] if (await balances.available(conn, WALLET, "MUSD")).available > 1000 * MUSD else []

    async def every(self, conn: AsyncConnection) -> timedelta | None:
        return self.minutes


async def rows(world: TreasuryWorld) -> list[tuple[Status, int, str]]:
    async with world.database.read() as conn:
        return sorted((row.status, row.amount, row.proposed_by) for row in await sweeps_service.page(conn))


async def test_what_is_above_the_ceiling_is_swept_first_a_little_and_then_down_to_the_target(
    world: TreasuryWorld,
) -> None:
    world.planner = Excess()
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
        (waiting,) = await sweeps_service.active(conn, WALLET, Kind.SWEEP)
        verdict = await world.cold.verify()
        now = world.clock.now()
        await world.sweep_proposals.approve(conn, waiting.id, verdict, "1", Actor("key_bert", "bert"), now=now)
    await world.cycles(sender, 6)
    assert world.chain.balance == 500 * MUSD
    world.clock.seconds += 900
    await world.cycles(sender, 3)
    assert len(await rows(world)) == 2


async def test_below_the_ceiling_and_without_a_schedule_nothing_is_proposed(world: TreasuryWorld) -> None:
    world.planner = Excess()
    world.chain.balance = 1000 * MUSD
    await world.cycles(world.sender(), 3)
    world.chain.balance = 5000 * MUSD
    world.planner.minutes = None
    await world.cycles(world.sender(), 3)
    assert await rows(world) == []


async def test_towards_a_safe_that_does_not_prove_itself_nothing_is_proposed_and_it_alarms(
    world: TreasuryWorld,
) -> None:
    world.planner = Excess()
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


async def test_an_order_is_the_plan_and_the_plans_refusal(world: TreasuryWorld) -> None:
    world.planner = Excess()
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
    world.planner = Excess()
    await world.cycles(world.sender(), 1)
    async with world.database.write() as conn:
        made = await world.sweep_proposals.panic(
            conn, await world.cold.verify(), Actor("key_anna", "anna"), now=world.clock.now()
        )
    assert [(sweep.asset, sweep.kind, sweep.status) for sweep in made] == [
        ("MUSD", Kind.PANIC, Status.AWAITING_APPROVAL),
        ("BTC", Kind.PANIC, Status.AWAITING_APPROVAL),
    ]
