"""The causes of alarms about sweeps and the cold wallet."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from chain.errors import NoAgreement
from chain.types import to_checksum
from tests.support.alarm_causes.treasury import GWEI, SECOND, changed, hold_sweep, run, use_key
from tests.support.fake_planner import ExcessPlanner
from tests.support.hot_wallet import MUSD
from tests.support.treasury_world import TreasuryWorld
from treasury.sweeps import approvals
from treasury.sweeps.table import sweeps


async def sweep_forged(world: TreasuryWorld) -> AsyncIterator[None]:
    sweep = await world.sweep()
    async with world.database.write() as conn:
        await conn.execute(sa.update(sweeps).values(amount=900 * MUSD))
    await run(world)
    yield
    async with world.database.write() as conn:
        await approvals.reject(conn, sweep.id, SECOND, now=world.clock.now())


async def sweep_reverted(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.sweep()
    world.chain.reverts = True
    await run(world)
    yield


async def sweep_displaced(world: TreasuryWorld) -> AsyncIterator[None]:
    await world.sweep()
    world.chain.deaf = True
    sender = world.sender()
    await sender.step()
    world.chain.deaf = False
    await use_key(world, None)
    await world.cycles(sender, 3)
    yield


async def sweep_cold_wallet_unverified(world: TreasuryWorld) -> AsyncIterator[None]:
    async for _ in hold_sweep(world, world.cold, reasons=("It has modules.",)):
        yield


async def sweep_policy(world: TreasuryWorld) -> AsyncIterator[None]:
    async for _ in hold_sweep(world, world.policy, objection="it would go below the floor"):
        yield


async def sweep_fee_ceiling(world: TreasuryWorld) -> AsyncIterator[None]:
    async for _ in hold_sweep(world, world.chain, fee=60 * GWEI):
        yield


async def sweep_insufficient(world: TreasuryWorld) -> AsyncIterator[None]:
    async for _ in hold_sweep(world, world.chain, native=1):
        yield


async def sweep_not_estimated(world: TreasuryWorld) -> AsyncIterator[None]:
    async def refuse(*_: Any) -> int:
        raise NoAgreement("the token is paused")

    other = to_checksum("0x" + "07" * 20)
    world.signer.limits = replace(world.signer.limits, sweep_tokens=frozenset({other}))
    world.chain.balances[other] = 100
    with changed(world.chain, estimate=refuse, balance_of=refuse):
        await world.sweep(1, token=other)
        await run(world)
        yield
    await run(world, 6)


async def cold_wallet_unverified(world: TreasuryWorld) -> AsyncIterator[None]:
    world.planner = ExcessPlanner()
    with changed(world.cold, reasons=("It has modules.",)):
        await run(world)
        yield
    await run(world)
