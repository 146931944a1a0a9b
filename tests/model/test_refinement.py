"""The real sender does nothing that the model does not: histories are lived by both, and their states agree after each step."""

import asyncio
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
import sqlalchemy as sa

from kit.db.database import Database
from tests.support.inline_database import InlineDatabase
from tests.support.sender_model import walks
from tests.support.sender_model.configs import KNOWN_LIMITS, MUTANTS, Mutant
from tests.support.sender_model.engine import Engine, Label
from tests.support.sender_model.explorer import explore
from tests.support.sender_model.histories import live
from tests.support.sender_model.invariants import PAID_ONCE, STILL_PAYABLE
from tests.support.sender_model.replay import Replay
from tests.support.sender_model.rules import AGAINST_OLD_BYTES, ALL, Config, Fault
from tests.support.treasury_world import TreasuryWorld
from treasury.core.status import Status
from treasury.payouts.table import payouts

PROVE = bool(os.environ.get("PROVE"))
WALKS = 1000 if PROVE else 100
STEPS = 40 if PROVE else 12
_RESTORES = {
    f"a restore, depth {depth}": Mutant(
        Config(depth=depth, faults={Fault.RESTORE: 1}), tuple(AGAINST_OLD_BYTES), PAID_ONCE
    )
    for depth in (1, 2)
}
LACKING = {
    name: mutant
    for name, mutant in {**MUTANTS, **_RESTORES}.items()
    if mutant.invariant != STILL_PAYABLE and ALL.issuperset(mutant.guards)
}
"""Senders that lack a guard which the real one has, and therefore break an invariant."""


@pytest.fixture
def inline_world() -> Iterator[TreasuryWorld]:
    database = InlineDatabase()
    yield TreasuryWorld(database)
    asyncio.run(database.close())


def most_paid(world: TreasuryWorld) -> int:
    """Return how often the purchase was paid that was paid most often."""
    return max(Counter(payment.reference for _, payment in world.chain.payments()).values(), default=0)


@pytest.mark.parametrize("batch", [0, 2])
async def test_random_histories_of_the_sender_are_histories_of_the_model(
    inline_world: TreasuryWorld, batch: int
) -> None:
    first = secrets.randbelow(2**32) if PROVE else 0
    for seed in range(first, first + WALKS):
        try:
            await walks.walk(TreasuryWorld(inline_world.database), seed, STEPS, batch)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}\n{error}") from error


@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize("seed", [1, 2, 4, 7])
async def test_so_are_those_on_both_databases(database: Database, seed: int, batch: int) -> None:
    await walks.walk(TreasuryWorld(database), seed, STEPS, batch)


@cache
def counterexample(name: str) -> tuple[Label, ...]:
    """Return the shortest history that breaks an invariant of a sender which lacks the guards."""
    (violation,) = explore(LACKING[name].explored()).violations
    return violation.history


@pytest.mark.parametrize("blocks", [0, 3])
@pytest.mark.parametrize("name", LACKING)
async def test_a_history_that_needs_a_guard_ends_well(inline_world: TreasuryWorld, name: str, blocks: int) -> None:
    config = replace(LACKING[name].config, guards=ALL)
    await live(inline_world, config, counterexample(name), blocks=blocks)
    assert most_paid(inline_world) <= 1


@pytest.mark.parametrize("limit", KNOWN_LIMITS)
async def test_the_known_limits_of_the_model_are_those_of_the_sender(inline_world: TreasuryWorld, limit: str) -> None:
    (violation,) = explore(KNOWN_LIMITS[limit]).violations
    await live(inline_world, KNOWN_LIMITS[limit], violation.history)
    assert most_paid(inline_world) == 2


async def test_a_row_that_no_step_wrote_is_noticed(inline_world: TreasuryWorld) -> None:
    await inline_world.forget()
    replay = Replay(Engine(Config(ALL)), inline_world)
    await replay.begin()
    await replay.happen(("owe", 0))
    async with inline_world.database.write() as conn:
        await conn.execute(sa.update(payouts).values(status=Status.FINAL))
    with pytest.raises(AssertionError, match="Payment A is owed"):
        await replay.happen(("owe", 1))
