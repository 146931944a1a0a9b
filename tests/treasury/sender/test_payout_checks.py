"""A fault of one payout concerns that payout alone; only a fault of the wallet makes all payouts wait."""

from typing import Any

import pytest

from chain.errors import NoAgreement
from tests.support.fake_stripe import FakeStripe
from tests.support.hot_wallet import BUYER, MUSD
from tests.support.payout_rows import change, insert, owe, paid, sender_of
from tests.support.treasury_world import TreasuryWorld
from treasury.core.status import Status
from treasury.ports import Owed, ProofUnavailable

DEPTHS = pytest.mark.parametrize("depth", [1, 4])


@DEPTHS
async def test_many_contradicted_payouts_are_not_signed_and_delay_no_other(world: TreasuryWorld, depth: int) -> None:
    await owe(world, *(f"ons_bad_{number}" for number in range(20)), paid=False)
    await owe(world, "ons_good")
    sender = sender_of(world, depth)
    while await sender.step():
        pass
    assert await world.status("ons_good") is Status.BROADCAST, "in the very first step"
    await world.cycles(sender, 10)
    assert await paid(world) == ["ons_good"]
    assert world.metrics.alarms["payout_payment_mismatch"] == 20
    assert not world.metrics.is_stopped


async def test_if_stripe_contradicts_every_payout_nothing_is_signed(world: TreasuryWorld) -> None:
    await owe(world, *(f"ons_{number}" for number in range(8)))
    world.stripe.owed_by_session.clear()
    sender = sender_of(world, 4)
    await world.cycles(sender, 6)
    assert world.signer.requests == []
    for number in range(8):
        world.stripe.owed_by_session[f"ons_{number}"] = Owed(5 * MUSD, BUYER)
    await world.cycles(sender, 12)
    assert [await world.status(f"ons_{number}") for number in range(8)] == [Status.FINAL] * 8


async def test_a_contradicted_payout_is_asked_about_at_a_bounded_pace(world: TreasuryWorld) -> None:
    await owe(world, *(f"ons_bad_{number}" for number in range(30)), paid=False)
    sender = world.sender()
    await sender.step()
    world.stripe.asked.clear()
    for _ in range(120):
        world.clock.seconds += 1
        await sender.step()
    each = [world.stripe.asked.count(f"ons_bad_{number}") for number in range(30)]
    assert min(each) >= 2, "none is forgotten"
    assert max(each) <= 5, "and none is asked about more than once in half a minute"


ABSURD = 10**40


@pytest.mark.parametrize("approved_by", [None, "key_nobody"])
async def test_a_forged_absurd_amount_at_the_head_delays_no_other_payout(
    world: TreasuryWorld, approved_by: str | None
) -> None:
    world.policy.approval_above = 10**6 * MUSD
    await insert(world, "approved", amount=ABSURD, approved_by=approved_by)
    await owe(world, "ons_good")
    await world.cycles(world.sender(), 4)
    assert await world.status("ons_good") is Status.FINAL
    assert (await world.payout("ons_forged")).reason == "payment_mismatch"


async def test_a_forged_amount_does_not_count_against_the_limits_of_other_payouts(world: TreasuryWorld) -> None:
    class Day(type(world.policy)):  # type: ignore[misc]
        async def exceeded_limits(self, conn: Any, queue: Any, now: Any) -> list[str | None]:
            total, found = 0, []
            for payout in queue:
                total += payout.amount
                found.append("payouts.max_per_day" if total > 1_000 * MUSD else None)
            return found

    await insert(world, "planned", amount=ABSURD)
    await owe(world, "ons_one", "ons_two")
    await world.cycles(sender_of(world, 4, policy=Day()), 4)
    assert await paid(world) == ["ons_one", "ons_two"]


@pytest.mark.parametrize(
    "values",
    [{"to_address": "nobody"}, {"to_address": BUYER.lower()}, {"reference": "0xzz"}, {"amount": 0}, {"reference": ""}],
    ids=str,
)
async def test_a_malformed_row_stops_only_itself(world: TreasuryWorld, values: dict[str, Any]) -> None:
    await owe(world, "ons_bad", "ons_good")
    await change(world, "ons_bad", **values)
    await world.cycles(world.sender(), 4)
    assert await world.status("ons_good") is Status.FINAL
    bad = await world.payout("ons_bad")
    assert (bad.status, bad.reason, bad.transaction_id) == (Status.HELD, "payment_mismatch", None)


@pytest.mark.parametrize("status", ["held", "planned", "rejected", "final"])
async def test_a_row_in_flight_whose_status_was_changed_in_the_database_stops_only_itself(
    world: TreasuryWorld, status: str
) -> None:
    await owe(world, "ons_bad")
    sender = world.sender()
    await sender.step()
    await change(world, "ons_bad", status=status)
    await owe(world, "ons_good", "ons_next")
    await world.cycles(sender, 8)
    assert [await world.status(session) for session in ("ons_good", "ons_next")] == [Status.FINAL] * 2
    assert len(world.chain.transfers()) == 3, "each of them was paid once"


class SilentStripe(FakeStripe):
    """Gives no answer about some sessions, or fails with an unexpected error."""

    def __init__(self, stripe: FakeStripe, error: BaseException, *sessions: str) -> None:
        super().__init__()
        self.owed_by_session, self.error, self.mute = stripe.owed_by_session, error, set(sessions)

    async def owed(self, session_id: str, stripe_session_id: str) -> Owed | None:
        said = await super().owed(session_id, stripe_session_id)
        if session_id in self.mute:
            raise self.error
        return said


ERRORS = [ProofUnavailable("a reply of another shape"), KeyError("nobody thought of it"), RuntimeError("nor of this")]


@DEPTHS
@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_a_payout_that_stripe_gives_no_answer_about_is_skipped(
    world: TreasuryWorld, error: Exception, depth: int
) -> None:
    await owe(world, "ons_mute", "ons_one", "ons_two")
    stripe = SilentStripe(world.stripe, error, "ons_mute")
    sender = sender_of(world, depth, payment_proof=stripe)
    await world.cycles(sender, 6)
    assert await paid(world) == ["ons_one", "ons_two"]
    waiting = await world.payout("ons_mute")
    assert (waiting.status, waiting.reason) == (Status.PLANNED, "proof_unavailable")
    stripe.mute.clear()
    await world.cycles(sender, 30)
    final = await world.payout("ons_mute")
    assert (final.status, final.reason) == (Status.FINAL, None)


async def test_a_payout_without_an_answer_is_asked_about_less_and_less_often(world: TreasuryWorld) -> None:
    """Each question may take seconds, for which others would wait."""
    stripe = SilentStripe(world.stripe, ERRORS[0], "ons_mute")
    await owe(world, "ons_mute")
    sender = world.sender(payment_proof=stripe)
    for number in range(100):
        await owe(world, f"ons_{number}")
        await world.cycles(sender, 1)
    asked = stripe.asked.count("ons_mute")
    assert 3 <= asked <= 16, "1,600 seconds, five minutes between two questions at last"


async def test_an_outage_of_stripe_keeps_the_order_in_which_was_paid(world: TreasuryWorld) -> None:
    world.stripe.down = True
    sessions = [f"ons_{number}" for number in range(6)]
    await owe(world, *sessions)
    sender = world.sender()
    await world.cycles(sender, 20)
    assert {(await world.payout(session)).reason for session in sessions} == {"proof_unavailable"}
    world.stripe.down = False
    await world.cycles(sender, 16)
    assert await paid(world) == sessions


async def test_a_person_who_decides_at_the_same_time_stops_no_other_payout(world: TreasuryWorld) -> None:
    await owe(world, "ons_bad", paid=False)
    await owe(world, "ons_good")
    stripe = world.stripe

    class Quick(FakeStripe):
        async def owed(self, session_id: str, stripe_session_id: str) -> Owed | None:
            if session_id == "ons_bad":
                await change(world, "ons_bad", status="rejected")
            return await stripe.owed(session_id, stripe_session_id)

    await world.cycles(world.sender(payment_proof=Quick()), 4)
    assert await world.status("ons_bad") is Status.REJECTED
    assert await world.status("ons_good") is Status.FINAL


async def test_many_that_wait_for_a_person_delay_the_next_by_nothing(world: TreasuryWorld) -> None:
    world.policy.approval_above = 10 * MUSD
    await owe(world, *(f"ons_large_{number}" for number in range(10)), amount=11 * MUSD)
    await owe(world, "ons_small")
    sender = world.sender()
    while await sender.step():
        pass
    assert await world.status("ons_small") is Status.BROADCAST


async def test_a_payout_owed_in_another_token_is_held_alone_until_that_token_is_paid_out_again(
    world: TreasuryWorld,
) -> None:
    await owe(world, "ons_before", "ons_now")
    token = (await world.payout("ons_before")).token
    other = "0x" + "77" * 20
    await change(world, "ons_before", token=other)
    sender = world.sender()
    await world.cycles(sender, 4)
    before = await world.payout("ons_before")
    assert (before.status, before.reason) == (Status.HELD, "token_changed")
    assert world.metrics.alarms["payout_token_changed"] == 1
    assert await world.status("ons_now") is Status.FINAL
    await change(world, "ons_before", token=token)
    await world.cycles(sender, 6)
    assert await world.status("ons_before") is Status.FINAL


async def test_a_sweeper_or_a_sweep_that_fails_keeps_no_payout_waiting(world: TreasuryWorld) -> None:
    class Broken(type(world.cold)):  # type: ignore[misc]
        async def verify(self) -> Any:
            raise self.error

    await world.sweep()
    for error in (RuntimeError("nobody thought of it"), NoAgreement("silence")):
        world.cold = Broken(world.chain)
        world.cold.error = error
        session = f"ons_{type(error).__name__}"
        await owe(world, session)
        await world.cycles(world.sender(), 4)
        assert await world.status(session) is Status.FINAL
