"""A row is no authority to pay: nothing is signed that Stripe does not confirm, no matter who wrote or changed the row."""

from typing import Any

import pytest
import sqlalchemy as sa

from chain.types import to_checksum
from tests.support.hot_wallet import MUSD
from tests.support.payout_rows import insert
from tests.support.treasury_world import TreasuryWorld
from treasury.core.status import Status
from treasury.payouts.table import payouts as payouts_table

pytestmark = pytest.mark.both_ways


async def test_a_forged_row_is_not_paid_and_others_are(world: TreasuryWorld) -> None:
    await world.owe("ons_real")
    await world.owe("ons_forged", 900 * MUSD, to_checksum("0x" + "e1" * 20), paid=False)
    async with world.database.write() as conn:
        early = payouts_table.c.session_id == "ons_forged"
        await conn.execute(
            sa.update(payouts_table).where(early).values(created_at=world.clock.now().replace(year=2020))
        )
    await world.cycles(world.sender())
    forged = await world.payout("ons_forged")
    assert (forged.status, forged.reason) == (Status.HELD, "payment_mismatch")
    assert await world.status("ons_real") is Status.FINAL
    assert [intent.amount for intent in world.signer.requests] == [5 * MUSD]  # type: ignore[union-attr]
    assert not world.metrics.is_stopped
    assert world.metrics.alarms["payout_payment_mismatch"] == 1


async def test_a_row_whose_amount_was_changed_is_not_paid(world: TreasuryWorld) -> None:
    await world.owe("ons_one", 5 * MUSD)
    async with world.database.write() as conn:
        await conn.execute(sa.update(payouts_table).values(amount=500 * MUSD))
    await world.cycles(world.sender())
    assert world.signer.requests == []


async def test_a_row_changed_between_check_and_nonce_is_not_paid(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    stripe = world.stripe

    class Meddler:
        async def owed(self, session_id: str, stripe_session_id: str) -> object:
            said = await stripe.owed(session_id, stripe_session_id)
            async with world.database.write() as conn:
                await conn.execute(sa.update(payouts_table).values(amount=500 * MUSD))
            return said

    await world.sender(payment_proof=Meddler()).step()  # type: ignore[arg-type]
    assert world.signer.requests == []


async def test_stripe_that_agrees_again_lets_signing_go_on(world: TreasuryWorld) -> None:
    from treasury.ports import Owed

    payout_to = to_checksum("0x" + "b0" * 20)
    await world.owe("ons_one", 5 * MUSD, paid=False)
    sender = world.sender()
    await world.cycles(sender, 2)
    assert await world.status("ons_one") is Status.HELD
    world.stripe.owed_by_session["ons_one"] = Owed(5 * MUSD, payout_to)
    await world.cycles(sender, 6)
    assert await world.status("ons_one") is Status.FINAL


@pytest.mark.parametrize("status", ["planned", "approved"])
async def test_a_payout_row_inserted_into_the_database_is_not_signed_and_others_are(
    world: TreasuryWorld, status: str
) -> None:
    await insert(world, status, approved_by="key_nobody" if status == "approved" else None)
    world.clock.seconds += 1
    await world.owe("ons_honest")
    await world.cycles(world.sender(), 6)
    assert (await world.payout("ons_forged")).reason == "payment_mismatch"
    assert (await world.payout("ons_forged")).transaction_id is None
    assert world.metrics.alarms["payout_payment_mismatch"] == 1
    assert await world.status("ons_honest") is Status.FINAL
    assert len(world.signer.requests) == 1


@pytest.mark.parametrize(
    "change", [{"amount": 500 * MUSD}, {"to_address": to_checksum("0x" + "66" * 20)}, {"stripe_session_id": "cos_another"},
               {"reference": "0x" + "66" * 32}]
)  # fmt: skip
async def test_a_payout_row_changed_in_the_database_is_not_signed(world: TreasuryWorld, change: dict[str, Any]) -> None:
    await world.owe("ons_one")
    if "stripe_session_id" in change:
        world.stripe.owed_by_session.clear()
    async with world.database.write() as conn:
        await conn.execute(sa.update(payouts_table).values(**change))
    await world.cycles(world.sender(), 6)
    assert world.signer.requests == []
    assert world.metrics.alarms["payout_payment_mismatch"] == 1


async def test_a_forged_payout_in_a_pipeline_is_left_out_of_those_beside_it(world: TreasuryWorld) -> None:
    world.chain.room = 10
    for number in range(3):
        await world.owe(f"ons_{number}")
    world.clock.seconds += 1
    await insert(world, "planned")
    await world.cycles(world.sender(max_in_flight=8), 6)
    assert [await world.status(f"ons_{number}") for number in range(3)] == [Status.FINAL] * 3
    assert (await world.payout("ons_forged")).transaction_id is None


async def test_a_row_that_says_it_is_signed_moves_nothing(world: TreasuryWorld) -> None:
    """Without bytes that our key signed there is nothing to broadcast, whatever the status says."""
    await insert(world, "signed", transaction_id="txn_forged", tx_hash="0x" + "12" * 32)
    await world.cycles(world.sender(), 6)
    assert (world.signer.requests, world.chain.received) == ([], [])
