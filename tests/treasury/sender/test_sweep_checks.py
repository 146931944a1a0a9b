"""Sweeps are signed for one Safe that proves itself, as approved, exactly once."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from chain.types import to_checksum
from tests.support.crashes import AROUND_THE_SIGNATURE, Crash, crash_at
from tests.support.hot_wallet import BUYER, CHAIN_ID, MUSD, SAFE, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury import balances
from treasury.cold.identity import Unverified, Verified
from treasury.core import history
from treasury.core.asset_policy import AssetPolicy, SweepLimits
from treasury.core.assets import NATIVE
from treasury.core.status import Status
from treasury.ledger import service as ledger_service
from treasury.ledger.states import Account
from treasury.sweeps import service as sweeps_service
from treasury.sweeps.table import sweeps as sweeps_table


async def test_an_approved_sweep_arrives_in_the_safe(world: TreasuryWorld) -> None:
    sweep = await world.sweep()
    await world.cycles(world.sender())
    done = await world.swept(sweep)
    assert (done.status, done.active_key) == (Status.FINAL, None)
    assert [(tx.hash, tx.nonce) for tx in world.chain.transfers()] == [(done.tx_hash, 0)]
    async with world.database.read() as conn:
        lines = [(entry.to_status, entry.by) for entry in await history.of(conn, sweep.id)]
        assert await sweeps_service.any_arrived(conn, CHAIN_ID, SAFE)
    assert lines == [
        ("planned", "key_anna"), ("awaiting_approval", "key_anna"), ("approved", "key_bert"), ("signed", "treasury"),
        ("broadcast", "treasury"), ("mined", "treasury"), ("final", "treasury"),
    ]  # fmt: skip


async def test_drift_of_the_safe_holds_the_sweep_before_it_is_signed(world: TreasuryWorld) -> None:
    sweep = await world.sweep()
    world.cold.reasons = ("It has modules.",)
    sender = world.sender()
    await world.cycles(sender, 2)
    held = await world.swept(sweep)
    assert (held.status, held.reason, held.transaction_id) == (Status.HELD, "cold_wallet_unverified", None)
    assert world.metrics.alarms["sweep_cold_wallet_unverified"] == 1
    world.cold.reasons, world.cold.identity = (), "0x" + "ee" * 32
    await world.cycles(sender, 2)
    assert (await world.swept(sweep)).reason == "cold_wallet_unverified"
    world.cold.identity, world.cold.behind = sweep.safe_identity, 11
    await world.cycles(sender, 2)
    assert (await world.swept(sweep)).reason == "cold_wallet_unverified"
    assert world.signer.requests == []
    world.cold.behind = 10
    await world.cycles(sender)
    assert (await world.swept(sweep)).status is Status.FINAL


@pytest.mark.parametrize("change", [{"amount": 900 * MUSD}, {"to_address": BUYER}, {"approval": None}])
async def test_a_row_that_is_not_what_was_approved_is_not_signed(
    world: TreasuryWorld, change: dict[str, object]
) -> None:
    sweep = await world.sweep()
    async with world.database.write() as conn:
        await conn.execute(sa.update(sweeps_table).values(**change))
    await world.cycles(world.sender(), 2)
    assert ((await world.swept(sweep)).reason, world.signer.requests) == ("forged", [])
    assert world.metrics.alarms["sweep_forged"] == 1


async def test_a_policy_that_changed_or_would_say_no_now_stops_it(world: TreasuryWorld) -> None:
    sweep = await world.sweep()
    world.policy.objection = "it would go below the floor"
    sender = world.sender()
    await world.cycles(sender, 1)
    assert (await world.swept(sweep)).reason == "policy"
    world.policy.objection, world.policy.active = None, "2"
    await world.cycles(sender, 1)
    assert (await world.swept(sweep)).status is Status.CANCELLED
    assert world.signer.requests == []


async def test_a_policy_that_changes_while_the_safe_proves_itself_stops_it(
    world: TreasuryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, prove = world.sender(), world.cold.verify
    await world.cycles(sender, 1)
    sweep = await world.sweep()

    async def verify() -> Verified | Unverified:
        world.policy.active = "2"
        return await prove()

    monkeypatch.setattr(world.cold, "verify", verify)
    await world.cycles(sender, 2)
    assert ((await world.swept(sweep)).status, world.signer.requests) == (Status.CANCELLED, [])


async def test_a_sweep_that_is_held_keeps_no_other_asset(world: TreasuryWorld) -> None:
    held = await world.sweep(1, token=to_checksum("0x" + "07" * 20))
    world.clock.seconds += 1
    sweep = await world.sweep()
    await world.cycles(world.sender(), 3)
    assert (await world.swept(held)).reason == "insufficient"
    assert (await world.swept(sweep)).status is Status.FINAL


async def test_payouts_go_before_sweeps(world: TreasuryWorld) -> None:
    sweep = await world.sweep()
    for name in ("ons_a", "ons_b"):
        await world.owe(name)
    await world.cycles(world.sender(), 8)
    assert [(await world.transaction(name)).nonce for name in ("ons_a", "ons_b")] in ([0, 1], [1, 0])
    assert (await world.swept(sweep)).status is Status.FINAL
    assert len(world.chain.transfers()) == 3


async def test_paused_payouts_wait_while_sweeps_go_on_and_come_back_in_order(world: TreasuryWorld) -> None:
    world.pause.payouts = True
    for name in ("ons_a", "ons_b"):
        await world.owe(name)
        world.clock.seconds += 1
    sweep = await world.sweep()
    sender = world.sender()
    await world.cycles(sender)
    assert [(await world.payout(name)).reason for name in ("ons_a", "ons_b")] == ["payouts_paused", "payouts_paused"]
    assert (await world.swept(sweep)).status is Status.FINAL
    world.pause.payouts = False
    await world.cycles(sender, 6)
    assert [(await world.transaction(name)).nonce for name in ("ons_a", "ons_b")] == [1, 2]


async def test_a_pause_between_check_and_nonce_holds(world: TreasuryWorld) -> None:
    await world.owe("ons_one")
    stripe = world.stripe

    class Meddler:
        async def owed(self, session_id: str, stripe_session_id: str) -> object:
            world.pause.payouts = True
            return await stripe.owed(session_id, stripe_session_id)

    await world.sender(payment_proof=Meddler()).step()  # type: ignore[arg-type]
    assert world.signer.requests == []


@pytest.mark.parametrize("name", AROUND_THE_SIGNATURE)
async def test_death_at_a_checkpoint_sweeps_once(world: TreasuryWorld, name: str) -> None:
    sweep = await world.sweep()
    with pytest.raises(Crash):
        await world.cycles(world.sender(crash_at(name)), 8)
    world.clock.seconds += 60
    await world.cycles(world.sender(), 8)
    done = await world.swept(sweep)
    assert [tx.hash for tx in world.chain.transfers()] == [done.tx_hash]
    assert done.status is Status.FINAL


async def test_a_restored_backup_adopts_the_sweep_it_had_forgotten_to_have_signed(world: TreasuryWorld) -> None:
    sweep = await world.sweep()
    async with world.database.read() as conn:
        row = dict((await conn.execute(sa.select(sweeps_table))).one()._mapping)
    await world.cycles(world.sender())
    paid = (await world.swept(sweep)).tx_hash
    await world.forget()
    async with world.database.write() as conn:
        await conn.execute(sa.insert(sweeps_table).values(**row))
    world.signer.requests.clear()
    await world.cycles(world.sender())
    done = await world.swept(sweep)
    assert (done.status, done.tx_hash, world.signer.requests) == (Status.FINAL, paid, [])
    assert len(world.chain.transfers()) == 1


async def test_the_gas_token_is_swept_too_and_leaves_its_own_gas(world: TreasuryWorld) -> None:
    sweep = await world.sweep(10**17, token=NATIVE)
    await world.cycles(world.sender())
    assert (await world.swept(sweep)).status is Status.FINAL
    assert world.chain.native == 9 * 10**17
    assert world.chain.limits[str((await world.swept(sweep)).tx_hash)] == 30_000


async def test_another_token_that_the_policy_lists_is_known_held_swept_and_booked(world: TreasuryWorld) -> None:
    other = to_checksum("0x" + "07" * 20)
    world.policy.listing = [AssetPolicy("OTHER", other, 6, 0, None, None, SweepLimits(0, None, None, None))]
    world.signer.limits = replace(world.signer.limits, sweep_tokens=frozenset({other}))
    world.chain.balances[other] = 70 * 10**6
    sender = world.sender()
    await world.cycles(sender, 1)
    async with world.database.read() as conn:
        assert (await balances.available(conn, WALLET, "OTHER")).available == 70 * 10**6
    sweep = await world.sweep(50 * 10**6, token=other)
    await world.cycles(sender, 8)
    assert ((await world.swept(sweep)).status, world.chain.balances[other]) == (Status.FINAL, 20 * 10**6)
    async with world.database.read() as conn:
        book = await ledger_service.balances(conn, WALLET, "OTHER")
        assert (await balances.available(conn, WALLET, "OTHER")).available == 20 * 10**6
    assert (book[Account.COLD], book[Account.AVAILABLE]) == (50 * 10**6, 20 * 10**6)
    world.chain.balances[other] = 0
    await world.cycles(sender, 6)
    assert world.metrics.differences["OTHER"] == 20 * 10**6
    # A permit takes no nonce: that tokens are gone is the only sign of it. Payouts of another token stop, too.
    signed = len(world.signer.requests)
    await world.owe("ons_later")
    await world.cycles(world.sender(), 3)
    assert (world.metrics.is_stopped, len(world.signer.requests)) == (True, signed)
    async with world.database.write() as conn:
        await ledger_service.write_off(
            conn, WALLET, "OTHER", 10**30, by="key_anna", note="we know", now=world.clock.now()
        )
    await world.cycles(sender)
    assert await world.status("ons_later") is Status.FINAL
