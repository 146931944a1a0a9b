"""A pause that comes at the worst moment of a payout."""

import pytest

from kit.db.database import Database
from tests.support.treasury_world import TreasuryWorld
from treasury.core.reasons import Reason
from treasury.core.status import Status


@pytest.mark.parametrize("moment", ["claimed", "checked", "nonce_taken"])
async def test_nothing_is_signed_behind_a_pause_and_the_nonce_is_used_when_it_ends(
    database: Database, moment: str
) -> None:
    world = TreasuryWorld(database)

    def between(step: str) -> None:
        if step == moment and not world.signer.requests:
            world.pause.payouts = True

    await world.owe("ons_1")
    await world.cycles(world.sender(between), 3)
    assert world.signer.requests == []
    payout = await world.payout("ons_1")
    assert (payout.status, payout.reason) == (Status.HELD, Reason.PAYOUTS_PAUSED)

    world.pause.payouts = False
    await world.cycles(world.sender())
    assert (await world.status("ons_1"), (await world.transaction("ons_1")).nonce) == (Status.FINAL, 0)
    assert len(world.chain.transfers()) == 1
