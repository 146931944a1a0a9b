"""Sweeps take two persons, one at a time for each asset, and lapse."""

from datetime import timedelta

import pytest

from kit.audit.actor import Actor
from kit.http.problems import Problem
from tests.support.hot_wallet import HOT_WALLET, MUSD, SAFE, TOKEN
from tests.support.treasury_world import TreasuryWorld
from treasury.core.status import Status
from treasury.sweeps import approvals
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.model import Sweep


async def refused(world: TreasuryWorld, sweep: Sweep, **changes: object) -> str:
    facts = {"actor": Actor("key_bert", "bert"), "policy_version": "1", "safe_identity": world.cold.identity, "now": world.clock.now()}  # fmt: skip
    async with world.database.write() as conn:
        with pytest.raises(Problem) as problem:
            await approvals.approve(conn, sweep.id, **{**facts, **changes})  # type: ignore[arg-type]
    return problem.value.code


async def test_nothing_moves_without_the_second_person(world: TreasuryWorld) -> None:
    sweep = await world.sweep(approved=False)
    assert await refused(world, sweep, actor=Actor("key_of_anna_too", "anna")) == "self_approval"
    assert await refused(world, sweep, policy_version="2") == "policy_refused"
    assert await refused(world, sweep, safe_identity="0x" + "00" * 32) == "cold_wallet_unverified"
    assert await refused(world, sweep, now=world.clock.now() + timedelta(hours=24)) == "policy_refused"
    await world.cycles(world.sender(), 2)
    assert (await world.swept(sweep)).status is Status.AWAITING_APPROVAL
    assert world.signer.requests == []


async def test_one_sweep_of_an_asset_at_a_time(world: TreasuryWorld) -> None:
    first = await world.sweep(approved=False)
    with pytest.raises(Problem) as problem:
        await world.sweep()
    assert problem.value.code == "already_active"
    async with world.database.write() as conn:
        await approvals.reject(conn, first.id, Actor("key_bert", "bert"), now=world.clock.now(), note="not today")
    assert (await world.swept(await world.sweep())).status is Status.APPROVED


async def test_two_triggers_of_one_window_make_one_sweep(world: TreasuryWorld) -> None:
    proposal = sweeps_service.Proposal("MUSD", TOKEN, MUSD, SAFE, "1", world.cold.identity)
    made = []
    for _ in range(2):
        async with world.database.write() as conn:
            made.append(
                await sweeps_service.propose(
                    conn,
                    proposal,
                    HOT_WALLET,
                    sweeps_service.SCHEDULER,
                    purpose="on schedule",
                    approval_needed=False,
                    expires_after=timedelta(hours=1),
                    now=world.clock.now(),
                    ids=world.ids,
                    window="7",
                )
            )
    assert made[0].id == made[1].id
    assert made[0].status is Status.APPROVED


async def test_an_approval_lapses(world: TreasuryWorld) -> None:
    sweep = await world.sweep()
    world.pause.sweeps = True
    sender = world.sender()
    await world.cycles(sender, 1)
    assert ((await world.swept(sweep)).status, (await world.swept(sweep)).reason) == (Status.HELD, "sweeps_paused")
    world.clock.seconds += 25 * 3600
    world.pause.sweeps = False
    await world.cycles(sender, 2)
    assert (await world.swept(sweep)).status is Status.CANCELLED
    assert world.signer.requests == []
