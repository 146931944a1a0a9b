"""After a restore the wallet's own payouts are found on chain and adopted without an alarm; a theft among them still raises one."""

from dataclasses import replace
from typing import Any

import pytest

from chain.abi.erc20 import reference_of
from tests.support.fake_signer import KeySigner
from tests.support.hot_wallet import BUYER, CHAIN_ID, HOT_WALLET, MUSD, SAFE, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury.core.status import Status
from treasury.incidents import unmatched
from treasury.incidents.model import UnmatchedTransaction
from treasury.ports import Owed
from treasury.sender import Sender
from treasury.signers.intent import NativeTransferIntent, TransferIntent

pytestmark = pytest.mark.both_ways

THIEF = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
OTHER_TOKEN = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"
KINDS = ("foreign_transaction", "unidentified_transaction", "unknown_sweep")


async def use_key(world: TreasuryWorld, reference: bytes | None, **changed: Any) -> None:
    """Send a transaction of the wallet that this database did not make."""
    made: dict[str, Any] = {"token": TOKEN, "to": THIEF, "amount": 3 * MUSD} | changed
    nonce = world.chain.nonce
    intent = TransferIntent(CHAIN_ID, WALLET, nonce, made["token"], made["to"], made["amount"], reference, 80_000, 9, 1)
    world.chain.accept((await thief(made["token"], made["to"]).sign(intent)).raw)
    world.chain.mine()


def thief(token: str, to: str) -> KeySigner:
    """Return a signer with the same key and other limits."""
    signer = KeySigner()
    signer.limits = replace(signer.limits, token=token, cold=to)
    return signer


async def restored(world: TreasuryWorld, count: int) -> list[str]:
    """Pay purchases, and restore a backup from before; return the sessions' ids."""
    sessions = [f"ons_{number}" for number in range(count)]
    for session in sessions:
        await world.owe(session)
        world.clock.seconds += 1
    await world.cycles(world.sender(), 3 + count)
    await world.forget()
    world.signer.requests.clear()
    return sessions


def alarms(world: TreasuryWorld) -> dict[str, int]:
    return {kind: count for kind in KINDS if (count := world.metrics.alarms[kind])}


async def notes(world: TreasuryWorld) -> list[UnmatchedTransaction]:
    async with world.database.read() as conn:
        return await unmatched.list_open(conn, HOT_WALLET)


async def answer(world: TreasuryWorld, sender: Sender) -> None:
    for row in await notes(world):
        async with world.database.write() as conn:
            assert await unmatched.resolve(conn, row.id, by="key_anna", note="known", now=world.clock.now())
    await world.cycles(sender)


async def test_payouts_that_the_backup_lost_are_adopted_without_an_alarm(world: TreasuryWorld) -> None:
    sessions = await restored(world, 5)
    await world.owe("ons_new")
    await world.cycles(world.sender(), 8)
    assert {await world.status(session) for session in (*sessions, "ons_new")} == {Status.FINAL}
    assert (alarms(world), await notes(world), len(world.chain.transfers())) == ({}, [], 6)
    assert [request.nonce for request in world.signer.requests] == [5]
    assert (world.metrics.rebuilding_now, world.metrics.is_stopped) == (0, False)


async def test_a_reference_that_no_purchase_has_is_a_theft_at_once(world: TreasuryWorld) -> None:
    sessions = await restored(world, 3)
    await use_key(world, b"\x07" * 32)
    await world.owe("ons_new")
    sender = world.sender()
    noticed = world.clock.now()
    await sender.step()
    assert (alarms(world), world.clock.now()) == ({"foreign_transaction": 1}, noticed)
    await world.cycles(sender, 6)
    assert alarms(world) == {"foreign_transaction": 1}
    assert [row.to for row in await notes(world)] == [THIEF]
    assert {await world.status(session) for session in sessions} == {Status.FINAL}
    assert (await world.status("ons_new"), world.signer.requests) == (Status.PLANNED, [])


@pytest.mark.parametrize(
    "changed",
    [{"amount": 4 * MUSD}, {"to": THIEF}, {"token": OTHER_TOKEN}, {"token": OTHER_TOKEN, "to": SAFE}],
    ids=["amount", "recipient", "token", "token to the cold wallet"],
)
async def test_a_known_reference_on_another_payment_is_a_theft_at_once(
    world: TreasuryWorld, changed: dict[str, Any]
) -> None:
    world.stripe.owed_by_session["ons_one"] = Owed(5 * MUSD, BUYER)
    await use_key(world, reference_of("ons_one"), **({"to": BUYER, "amount": 5 * MUSD} | changed))
    await world.sender().step()
    assert alarms(world) == {"foreign_transaction": 1}
    assert world.signer.requests == []


@pytest.mark.parametrize("to", [SAFE, THIEF])
async def test_a_transaction_unlike_any_payout_is_a_theft_though_stripe_is_unavailable(
    world: TreasuryWorld, to: str
) -> None:
    world.stripe.down = True
    native = NativeTransferIntent(CHAIN_ID, WALLET, 0, to, 5, 30_000, 10**9, 0)
    world.chain.accept((await thief(TOKEN, to).sign(native)).raw)
    world.chain.mine()
    await use_key(world, None, to=to)
    await world.cycles(world.sender(), 2)
    assert alarms(world) == {"foreign_transaction": 2}


async def test_while_stripe_is_unavailable_restored_payouts_raise_an_alarm_after_a_minute_and_are_adopted_later(
    world: TreasuryWorld,
) -> None:
    sessions = await restored(world, 2)
    await use_key(world, b"\x07" * 32)
    world.stripe.down = True
    await world.owe("ons_new")
    sender = world.sender()
    await world.cycles(sender, 4)
    assert (alarms(world), world.metrics.rebuilding_now, world.metrics.is_stopped) == ({}, 3, True)
    assert (await world.payout("ons_new")).reason == "signing_stopped"
    await world.cycles(sender, 2)
    assert alarms(world) == {"unidentified_transaction": 3}
    assert world.signer.requests == []
    world.stripe.down = False
    await world.cycles(sender, 4)
    assert alarms(world) == {"unidentified_transaction": 3, "foreign_transaction": 1}
    assert [row.to for row in await notes(world)] == [THIEF]
    assert {await world.status(session) for session in sessions} == {Status.FINAL}
    await answer(world, sender)
    assert await world.status("ons_new") is Status.FINAL
    assert len(world.chain.transfers()) == 4


async def test_a_second_payment_under_the_same_reference_is_a_theft(world: TreasuryWorld) -> None:
    await restored(world, 1)
    await use_key(world, reference_of("ons_0"), to=BUYER, amount=5 * MUSD)
    await world.cycles(world.sender(), 3)
    assert await world.status("ons_0") is Status.FINAL
    assert alarms(world) == {"foreign_transaction": 1}


async def test_a_sweep_that_the_backup_lost_is_no_theft_and_waits_for_an_answer(world: TreasuryWorld) -> None:
    await use_key(world, reference_of("swp_lost"), to=SAFE)
    await world.owe("ons_new")
    sender = world.sender()
    await world.cycles(sender, 2)
    assert alarms(world) == {"unknown_sweep": 1}
    assert (await world.status("ons_new"), world.signer.requests) == (Status.PLANNED, [])
    await answer(world, sender)
    assert await world.status("ons_new") is Status.FINAL


async def test_a_buyer_paid_as_stripe_says_by_another_database_is_no_theft(world: TreasuryWorld) -> None:
    world.stripe.owed_by_session["ons_other"] = Owed(5 * MUSD, BUYER)
    world.stripe.objections["ons_other"] = "ignored as other_deployment"
    await use_key(world, reference_of("ons_other"), to=BUYER, amount=5 * MUSD)
    await world.cycles(world.sender(), 2)
    assert alarms(world) == {"unidentified_transaction": 1}
    (row,) = await notes(world)
    assert "other_deployment" in row.note


async def test_a_transaction_that_the_nodes_do_not_show_is_not_called_a_theft(world: TreasuryWorld) -> None:
    await restored(world, 1)
    world.chain.hides_logs = True
    sender = world.sender()
    await world.cycles(sender, 5)
    assert alarms(world) == {"unidentified_transaction": 1}
    world.chain.hides_logs = False
    await world.cycles(sender, 8)
    assert (alarms(world), await notes(world)) == ({"unidentified_transaction": 1}, [])
