"""Versions of the policy: stricter ones apply at once, looser ones by two persons and, in production, after a day."""

from datetime import timedelta

import pytest

from kit.audit.actor import Actor
from kit.http.problems import Problem
from tests.support.hot_wallet import MUSD
from tests.support.policy_terms import SCOPE, TERMS, with_musd
from tests.support.policy_versions import propose_terms
from tests.support.treasury_world import TreasuryWorld
from treasury.policy import service as policy_service
from treasury.policy.states import VersionStatus


async def active(world: TreasuryWorld) -> int:
    async with world.database.write() as conn:
        await policy_service.apply_due(conn, SCOPE, now=world.clock.now())
        return (await policy_service.require_active(conn, SCOPE)).version


async def test_a_stricter_policy_applies_at_once_and_a_looser_one_by_two_persons(world: TreasuryWorld) -> None:
    looser = with_musd(floor=1)
    assert await propose_terms(world, TERMS) == (VersionStatus.ACTIVE, 1)
    assert await propose_terms(world, TERMS) == (VersionStatus.ACTIVE, 1)
    assert await propose_terms(world, with_musd(floor=6000 * MUSD)) == (VersionStatus.ACTIVE, 2)
    assert await propose_terms(world, looser) == (VersionStatus.PROPOSED, 3)
    assert await propose_terms(world, looser) == (VersionStatus.PROPOSED, 3)
    assert await propose_terms(world, looser, "anna") == (VersionStatus.PROPOSED, 3)
    assert await propose_terms(world, looser, "anna") == (VersionStatus.PROPOSED, 3)
    assert await active(world) == 2
    async with world.database.write() as conn:
        version = (await policy_service.history(conn, SCOPE))[0]
        with pytest.raises(Problem) as problem:
            await policy_service.approve(
                conn, version.id, Actor("key_2", "anna"), now=world.clock.now(), production=False
            )
    assert problem.value.code == "self_approval"
    assert await propose_terms(world, looser, "bert") == (VersionStatus.ACTIVE, 3)
    assert await active(world) == 3


async def test_in_production_a_day_passes_in_which_one_person_can_still_reject(world: TreasuryWorld) -> None:
    await propose_terms(world, TERMS)
    for refused in (True, False):
        await propose_terms(world, with_musd(floor=1), "anna", production=True)
        state, number = await propose_terms(world, with_musd(floor=1), "bert", production=True)
        assert state is VersionStatus.APPROVED
        world.clock.seconds += timedelta(hours=23).total_seconds()
        assert await active(world) == 1
        if refused:
            async with world.database.write() as conn:
                version = (await policy_service.history(conn, SCOPE))[0]
                await policy_service.reject(conn, version.id, Actor("key_carl", "carl"), now=world.clock.now())
        world.clock.seconds += timedelta(hours=2).total_seconds()
        assert await active(world) == (1 if refused else number)
