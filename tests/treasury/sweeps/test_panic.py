"""A panic empties the wallet into the Safe: past every pause and every alarm, by two persons, tokens before the gas token."""

from dataclasses import replace

import pytest

from chain.errors import NoAgreement
from chain.types import to_checksum
from kit.audit.actor import Actor
from tests.support.fake_signer import KeySigner
from tests.support.hot_wallet import BUYER, CHAIN_ID, MUSD, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury.core.assets import NATIVE
from treasury.core.status import Status
from treasury.ledger import service as ledger_service
from treasury.ledger.states import HOT, Account
from treasury.signers.intent import TransferIntent
from treasury.sweeps import approvals
from treasury.sweeps.states import SweepKind

pytestmark = pytest.mark.starts_first


async def test_a_panic_empties_the_wallet_even_while_paused_and_holds_what_is_unsigned(world: TreasuryWorld) -> None:
    world.chain.balance = 777 * MUSD
    await world.owe("ons_flying")
    sender = world.sender()
    await sender.step()
    waiting = await world.sweep(10 * MUSD)
    world.pause.payouts = world.pause.sweeps = True
    await world.owe("ons_waiting")
    panic = await world.sweep(1, kind=SweepKind.PANIC, approved=False)
    await world.cycles(sender, 2)
    assert (await world.swept(panic)).transaction_id is None
    await world.approve(panic)
    await world.cycles(sender)
    assert await world.status("ons_flying") is Status.FINAL
    assert (await world.payout("ons_waiting")).reason == "payouts_paused"
    done = await world.swept(panic)
    assert (done.status, done.amount) == (Status.FINAL, 772 * MUSD)
    assert world.chain.balance == 0
    assert (await world.swept(waiting)).status is Status.CANCELLED


async def test_a_panic_runs_while_coins_are_gone_and_nothing_else_does(world: TreasuryWorld) -> None:
    world.chain.balance = 500 * MUSD
    sender = world.sender()
    await world.cycles(sender, 1)
    world.chain.balance -= 100 * MUSD
    await world.cycles(sender, 6)
    waiting = await world.sweep(10 * MUSD)
    await world.owe("ons_waiting")
    await world.cycles(sender, 2)
    assert (world.metrics.alarms["ledger_difference"], world.signer.requests) == (1, [])
    panic = await world.sweep(1, kind=SweepKind.PANIC, approved=False)
    await world.cycles(sender, 2)
    assert world.signer.requests == []
    await world.approve(panic)
    await world.cycles(sender)
    done = await world.swept(panic)
    assert (done.status, done.amount, world.chain.balance) == (Status.FINAL, 400 * MUSD, 0)
    assert (await world.swept(waiting)).status is Status.CANCELLED
    assert (await world.payout("ons_waiting")).transaction_id is None
    assert len(world.signer.requests) == 1


async def test_a_panic_runs_although_a_stranger_used_the_key(world: TreasuryWorld) -> None:
    sender = world.sender()
    await world.cycles(sender, 1)
    world.chain.balance -= 100 * MUSD
    stolen = TransferIntent(CHAIN_ID, WALLET, 0, TOKEN, BUYER, 100 * MUSD, None, 80_000, 10**9, 1)
    world.chain.accept((await KeySigner().sign(stolen)).raw)
    world.chain.mine()
    await world.owe("ons_waiting")
    await world.cycles(sender, 6)
    assert (world.metrics.alarms["foreign_transaction"], world.signer.requests) == (1, [])
    panic = await world.sweep(1, kind=SweepKind.PANIC)
    await world.cycles(sender)
    assert ((await world.swept(panic)).status, world.chain.balance) == (Status.FINAL, 0)
    assert len(world.signer.requests) == 1


async def test_a_panic_runs_although_one_transfer_differs_from_its_row(world: TreasuryWorld) -> None:
    sender = world.sender()
    await world.mismatched(sender)
    assert world.metrics.alarms["transfer_mismatch"] == 1
    panic = await world.sweep(1, kind=SweepKind.PANIC)
    await world.cycles(sender)
    assert (await world.swept(panic)).status is Status.FINAL


async def test_a_panic_to_a_safe_that_does_not_prove_itself_moves_nothing(world: TreasuryWorld) -> None:
    panic = await world.sweep(1, kind=SweepKind.PANIC)
    world.cold.reasons = ("Its owners changed.",)
    await world.cycles(world.sender(), 3)
    assert ((await world.swept(panic)).reason, world.signer.requests) == ("cold_wallet_unverified", [])


async def test_the_ledger_holds_what_a_panic_takes_while_the_signer_is_away(world: TreasuryWorld) -> None:
    world.chain.balance = 200 * MUSD
    panic = await world.sweep(1 * MUSD, kind=SweepKind.PANIC)
    world.signer.down = True
    await world.cycles(world.sender(), 2)
    async with world.database.read() as conn:
        book = await ledger_service.balances(conn, WALLET, "MUSD")
    assert ((await world.swept(panic)).amount, book[Account.HELD]) == (200 * MUSD, 200 * MUSD)
    assert sum(book[account] for account in HOT if account in book) == 200 * MUSD


async def test_a_panic_takes_the_tokens_first_and_then_the_gas_token(world: TreasuryWorld) -> None:
    world.chain.balance = 5 * MUSD
    both = [await world.sweep(1, kind=SweepKind.PANIC, token=token) for token in (NATIVE, TOKEN)]
    await world.cycles(world.sender(), 8)
    native, token = [await world.swept(sweep) for sweep in both]
    assert (token.status, native.status) == (Status.FINAL, Status.FINAL)
    assert (world.chain.balance, world.chain.native) == (0, 30_000 * 10**9)
    assert (token.amount, native.amount) == (5 * MUSD, 10**18 - 30_000 * 10**9)


async def test_a_panic_of_the_gas_token_waits_for_those_that_it_pays_for_whatever_is_approved_first(
    world: TreasuryWorld,
) -> None:
    token = await world.sweep(1, kind=SweepKind.PANIC, approved=False)
    native = await world.sweep(1, kind=SweepKind.PANIC, token=NATIVE)
    sender = world.sender()
    await world.cycles(sender, 3)
    assert ((await world.swept(native)).reason, world.signer.requests) == ("gas_last", [])
    await world.approve(token)
    await world.cycles(sender, 8)
    assert [(await world.swept(one)).status for one in (token, native)] == [Status.FINAL, Status.FINAL]
    assert world.chain.balance == 0


async def test_a_panic_of_the_gas_token_goes_on_once_the_others_are_rejected(world: TreasuryWorld) -> None:
    token = await world.sweep(1, kind=SweepKind.PANIC, approved=False)
    native = await world.sweep(1, kind=SweepKind.PANIC, token=NATIVE)
    sender = world.sender()
    await world.cycles(sender, 2)
    async with world.database.write() as conn:
        await approvals.reject(conn, token.id, Actor("key_bert", "bert"), now=world.clock.now())
    await world.cycles(sender, 8)
    assert ((await world.swept(native)).status, len(world.signer.requests)) == (Status.FINAL, 1)


@pytest.mark.parametrize("refused_by", ["its token", "the signer"])
async def test_a_token_that_cannot_move_keeps_no_other_in_a_wallet_that_is_emptied(
    world: TreasuryWorld, monkeypatch: pytest.MonkeyPatch, refused_by: str
) -> None:
    frozen = to_checksum("0x" + "07" * 20)
    world.chain.balances[frozen] = 50

    async def estimate(to: str, value: int, data: bytes) -> int:
        raise NoAgreement("silence")

    if refused_by == "its token":
        world.signer.limits = replace(world.signer.limits, sweep_tokens=frozenset({frozen}))
        monkeypatch.setattr(world.chain, "estimate", estimate)
    await world.sweep(1, kind=SweepKind.PANIC, token=frozen)
    world.clock.seconds += 1
    second = await world.sweep(1, kind=SweepKind.PANIC)
    await world.cycles(world.sender(), 8)
    assert ((await world.swept(second)).status, world.chain.balance) == (Status.FINAL, 0)
    assert world.chain.balances[frozen] == 50


async def test_a_panic_that_expired_does_not_block_another_while_signing_is_stopped(
    world: TreasuryWorld,
) -> None:
    sender = world.sender()
    await world.cycles(sender, 1)
    world.chain.balance -= 100 * MUSD
    await world.cycles(sender, 6)
    assert world.metrics.is_stopped
    late = await world.sweep(1, kind=SweepKind.PANIC, approved=False)
    world.clock.seconds += 25 * 3600
    await world.cycles(sender, 2)
    assert (await world.swept(late)).status is Status.CANCELLED
    panic = await world.sweep(1, kind=SweepKind.PANIC)
    await world.cycles(sender)
    assert ((await world.swept(panic)).status, world.chain.balance) == (Status.FINAL, 0)
