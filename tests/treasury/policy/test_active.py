"""The active policy holds payouts and sweeps, and plans the sweeps that operators propose."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import pytest

from chain.types import to_checksum
from kit.audit.actor import Actor
from kit.db.database import Database
from kit.http.problems import Problem
from tests.support.fake_purchases import FakePurchases
from tests.support.hot_wallet import BUYER, HOT_WALLET, MUSD, WALLET
from tests.support.policy_terms import PIN, POLICY, SCOPE, TERMS, with_musd
from tests.support.policy_versions import propose_terms
from tests.support.treasury_world import TreasuryWorld
from treasury import balances
from treasury.core.status import Status
from treasury.payouts import approvals
from treasury.payouts import service as payouts_service
from treasury.policy import service as policy_service
from treasury.policy.active import ActivePolicy
from treasury.policy.model import ContractLimits
from treasury.sweeps.proposals import SweepProposals
from treasury.sweeps.states import SweepKind


async def test_a_running_treasury_applies_what_is_due_within_a_minute(world: TreasuryWorld) -> None:
    await propose_terms(world, TERMS)
    await propose_terms(world, with_musd(floor=1), "anna", production=True)
    _, number = await propose_terms(world, with_musd(floor=1), "bert", production=True)
    sender = world.sender(policy=ActivePolicy(HOT_WALLET, cold=PIN, purchases=FakePurchases()))
    day = timedelta(hours=24).total_seconds()
    started = world.clock.seconds
    for after in (0.0, day - 20, day - 5, day + 10, day + 25):
        world.clock.seconds = started + after
        await sender.step()
        async with world.database.read() as conn:
            counts = (await policy_service.require_active(conn, SCOPE)).version
        assert counts == 1 or after >= day
    assert counts == number


async def governed(world: TreasuryWorld) -> ActivePolicy:
    await propose_terms(world, TERMS)
    return ActivePolicy(HOT_WALLET, cold=PIN, purchases=FakePurchases())


async def test_a_payout_above_a_limit_waits_and_the_day_counts_what_got_a_nonce(
    world: TreasuryWorld, database: Database
) -> None:
    rules = await governed(world)
    sender = world.sender(policy=rules)
    for number in range(10):
        await world.owe(f"ons_{number}", 9999 * MUSD)
    await world.cycles(sender, 22)
    assert len(world.chain.transfers()) == 10
    await world.owe("ons_last", 11 * MUSD)
    await world.owe("ons_large", 10_001 * MUSD)
    await world.cycles(sender, 4)
    assert await world.status("ons_last") == "awaiting_approval"
    assert await world.status("ons_large") == "awaiting_approval"
    world.clock.seconds += 24 * 3600
    await world.owe("ons_next_day", 11 * MUSD)
    await world.cycles(sender, 4)
    assert await world.status("ons_next_day") == "final"
    assert len(world.chain.transfers()) == 11


async def test_the_day_counts_a_sweep_from_its_nonce_however_long_its_approval_took(world: TreasuryWorld) -> None:
    rules = await governed(world)
    day = timedelta(hours=24).total_seconds()
    world.chain.balance = 300_000 * MUSD
    sender = world.sender()
    swept = await world.sweep(100_000 * MUSD, approved=False)
    world.clock.seconds += day - 60
    await world.approve(swept)
    await world.cycles(sender, 5)
    assert (await world.swept(swept)).status == "final"
    for waited, refused in ((60, True), (day, False)):
        world.clock.seconds += waited
        await world.cycles(sender, 1)
        async with world.database.read() as conn:
            planned = rules.plan(conn, "MUSD", 100 * MUSD, first=False, now=world.clock.now())
            with pytest.raises(Problem, match="max_per_day") if refused else nullcontext():
                await planned


async def test_the_active_version_says_how_many_payouts_one_transaction_may_carry_out(world: TreasuryWorld) -> None:
    rules = await governed(world)
    more = replace(TERMS, policy=replace(POLICY, contract=ContractLimits(max_batch=150)))
    seen = []
    for person in (None, "anna", "bert"):
        await propose_terms(world, more, person)
        async with world.database.read() as conn:
            seen.append(await rules.max_batch(conn))
    assert seen == [100, 100, 150], "more takes two persons"


async def test_a_payout_waits_while_its_recipient_cannot_be_screened(world: TreasuryWorld) -> None:
    await propose_terms(world, TERMS)
    unknown = {to_checksum(BUYER)}
    purchases = FakePurchases(unscreenable=unknown)
    sender = world.sender(policy=ActivePolicy(HOT_WALLET, cold=PIN, purchases=purchases))
    await world.owe("ons_one")
    await world.cycles(sender, 4)
    assert (await world.payout("ons_one")).transaction_id is None and world.chain.transfers() == []
    unknown.clear()
    world.clock.seconds += 60
    await world.cycles(sender, 4)
    assert await world.status("ons_one") == "final"


async def test_orders_go_through_the_active_policy(world: TreasuryWorld) -> None:
    rules = await governed(world)
    world.chain.balance = 30_000 * MUSD
    sender = world.sender(policy=rules)
    await world.cycles(sender, 1)
    orders = SweepProposals(rules, world.cold, WALLET, world.ids)
    verdict = await world.cold.verify()
    async with world.database.write() as conn:
        swept = await orders.sweep(conn, "MUSD", None, verdict, Actor("key_anna", "anna"), now=world.clock.now())
    assert (swept.amount, swept.status) == (100 * MUSD, "awaiting_approval"), "small, out of a large order"
    async with world.database.write() as conn:
        version, now = await rules.version(conn), world.clock.now()
        await orders.approve(conn, swept.id, verdict, version, Actor("key_bert", "bert"), now=now)
    await world.cycles(sender, 3)
    assert (await world.swept(swept)).status == "final"
    async with world.database.write() as conn:
        for asset, amount, code in (("DOGE", 1, "policy_refused"), ("MUSD", 25_000 * MUSD, "policy_refused"),
                                    ("MUSD", 10**30, "insufficient_available"), ("BTC", 10**18, "policy_refused")):  # fmt: skip
            with pytest.raises(Problem) as problem:
                await orders.plan(conn, asset, amount, now=world.clock.now())
            assert problem.value.code == code
        excess = await orders.plan(conn, "MUSD", None, now=world.clock.now())
        assert (excess.amount, excess.approval_needed) == (14_900 * MUSD, True)
        assert await balances.available(conn, WALLET, "MUSD")


@pytest.mark.parametrize("kind", list(SweepKind))
async def test_neither_sweep_nor_panic_is_signed_where_the_policy_pins_another_cold_wallet(
    world: TreasuryWorld, kind: SweepKind
) -> None:
    await propose_terms(world, replace(TERMS, cold=None))
    rules = ActivePolicy(HOT_WALLET, cold=PIN, purchases=FakePurchases())
    sweep = await world.sweep(kind=kind)
    await world.cycles(world.sender(policy=rules), 2)
    held = await world.swept(sweep)
    assert (held.status, held.reason) == ("held", "policy")
    assert world.signer.requests == []


async def test_the_list_holds_each_payout_until_a_person_clears_that_one(world: TreasuryWorld) -> None:
    """The sender with the real policy: what one payout was cleared for helps no other to the same recipient."""
    refused = {BUYER}
    async with world.database.write() as conn:
        await policy_service.propose(conn, TERMS, scope=SCOPE, now=world.clock.now(), ids=world.ids)
    policy = ActivePolicy(HOT_WALLET, cold=PIN, purchases=FakePurchases(sanctioned=refused))
    sender = world.sender(policy=policy)
    for session in ("ons_one", "ons_two"):
        await world.owe(session)
        world.clock.seconds += 1
    await world.cycles(sender, 3)
    assert {(await world.payout(session)).reason for session in ("ons_one", "ons_two")} == {"screening"}
    assert world.signer.requests == []
    async with world.database.write() as conn:
        one = await world.payout("ons_one")
        await approvals.approve(conn, one.id, Actor("key_1", "anna"), now=world.clock.now())
        with pytest.raises(Problem):
            await approvals.approve(conn, one.id, Actor("key_1", "anna"), now=world.clock.now())
    await world.owe("ons_three")
    await world.cycles(sender)
    assert await world.status("ons_one") is Status.FINAL
    assert [(await world.payout(session)).reason for session in ("ons_two", "ons_three")] == ["screening"] * 2
    refused.clear()
    async with world.database.write() as conn:
        assert await payouts_service.release_delisted(conn, refused, now=world.clock.now()) == 2
    await world.cycles(sender, 8)
    assert await world.status("ons_three") is Status.FINAL
