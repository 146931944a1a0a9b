"""Propose a version of the policy."""

from kit.audit.actor import Actor
from tests.support.policy_terms import SCOPE
from tests.support.treasury_world import TreasuryWorld
from treasury.policy import service as policy_service
from treasury.policy.states import Terms, VersionStatus


async def propose_terms(
    world: TreasuryWorld, terms: Terms, person: str | None = None, *, production: bool = False
) -> tuple[VersionStatus, int]:
    """Propose terms as a person, or as a start; return the status and number of the version that results."""
    async with world.database.write() as conn:
        made = await policy_service.propose(
            conn, terms, None if person is None else Actor(person, person), scope=SCOPE, now=world.clock.now(), ids=world.ids, production=production
        )  # fmt: skip
    return made.status, made.version
