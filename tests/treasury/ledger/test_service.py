"""The ledger knows where every coin is, only grows, and agrees with the chain or raises an alarm."""

import asyncio

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests.support.hot_wallet import MUSD, WALLET
from tests.support.ledger_accounts import STOCK, accounts, kinds
from tests.support.treasury_world import TreasuryWorld
from treasury.core.facts import OperationFact
from treasury.ledger import service as ledger_service
from treasury.ledger.model import Movement
from treasury.ledger.states import HOT, Account
from treasury.ledger.table import ledger
from treasury.payouts import service as payouts_service
from treasury.reconciliation import reconcile
from treasury.transactions.table import transactions


async def test_a_payout_is_held_signed_and_settled_and_the_books_agree_with_the_chain(world: TreasuryWorld) -> None:
    sender = world.sender()
    await world.cycles(sender, 1)
    payout = await world.owe("ons_1")
    assert await accounts(world) == {
        Account.EXTERNAL_IN: -STOCK, Account.AVAILABLE: STOCK - 5 * MUSD, Account.HELD: 5 * MUSD
    }  # fmt: skip
    while await sender.step():
        pass
    assert (await accounts(world))[Account.IN_FLIGHT] == 5 * MUSD
    await world.cycles(sender, 8)
    found = await accounts(world)
    assert found == {Account.EXTERNAL_IN: -STOCK, Account.AVAILABLE: STOCK - 5 * MUSD, Account.PAID_OUT: 5 * MUSD}
    assert sum(found.get(account, 0) for account in HOT) == world.chain.balance
    assert await kinds(world, payout) == ["hold", "sign", "settle"]
    assert (await accounts(world, "BTC"))[Account.GAS] == 52_000 * world.chain.fee
    assert world.metrics.differences["MUSD"] == 0


async def test_a_reverted_and_a_rejected_payout_release_their_reservation(world: TreasuryWorld) -> None:
    world.chain.reverts = True
    payout = await world.owe("ons_1")
    await world.cycles(world.sender(), 8)
    assert await kinds(world, payout) == ["hold", "sign", "revert"]
    other = await world.owe("ons_2")
    async with world.database.write() as conn:
        await payouts_service.move(conn, other, OperationFact.REJECTED, now=world.clock.now(), by="key_anna")
    assert await kinds(world, other) == ["hold", "release"]
    assert await accounts(world) == {Account.EXTERNAL_IN: -STOCK, Account.AVAILABLE: STOCK}


async def test_a_sweep_and_the_reorganisation_of_its_block(world: TreasuryWorld) -> None:
    sweep = await world.sweep()
    sender = world.sender()
    await world.cycles(sender, 3)
    assert (await accounts(world))[Account.COLD] == 100 * MUSD
    number = (await world.swept(sweep)).block_number
    assert number is not None
    world.chain.forks[number] = "0x" + "ab" * 32
    await world.cycles(sender, 8)
    assert await kinds(world, sweep.id) == ["hold", "sign", "settle", "counter", "settle"]
    assert (await accounts(world))[Account.COLD] == 100 * MUSD


async def test_an_unnoticed_reorganisation_is_not_a_top_up(world: TreasuryWorld) -> None:
    """A block checked at depth 3 is checked again at depth 6 only; meanwhile the coins of the sweep are back in the wallet."""
    sweep = await world.sweep()
    sender = world.sender()
    chain = world.chain
    await world.cycles(sender, 2)
    await sender.step()
    (mined,) = chain.mined.values()
    assert chain.head == mined.block.number + 3
    del chain.mined[mined.tx.hash]
    chain.nonce, chain.balance = 0, chain.balance + sweep.amount
    chain.forks[mined.block.number] = "0x" + "ab" * 32
    world.clock.seconds += 60
    chain.mine(1)
    await world.cycles(sender, 8)
    assert await kinds(world, sweep.id) == ["hold", "sign", "settle", "counter", "settle"]
    assert (await accounts(world))[Account.EXTERNAL_IN] == -STOCK
    assert (world.metrics.alarms["reorg"], world.metrics.alarms["ledger_difference"]) == (1, 0)


async def test_a_top_up_comes_in_and_a_theft_stops_all_signing_until_a_person_answers(world: TreasuryWorld) -> None:
    sender = world.sender()
    await world.cycles(sender, 1)
    world.chain.balance += 7 * MUSD
    await world.cycles(sender, 6)
    assert (await accounts(world))[Account.EXTERNAL_IN] == -STOCK - 7 * MUSD
    assert world.metrics.alarms["ledger_difference"] == 0
    world.chain.balance -= 3 * MUSD
    await world.cycles(sender, 6)
    assert (await accounts(world))[Account.SUSPENSE] == 3 * MUSD
    assert (world.metrics.alarms["ledger_difference"], world.metrics.differences["MUSD"]) == (1, 3 * MUSD)
    await world.owe("ons_1")
    await world.cycles(sender, 6)
    await world.cycles(world.sender(), 2)
    assert world.signer.requests == []
    assert world.metrics.is_stopped
    async with world.database.write() as conn:
        now = world.clock.now()
        assert (
            await ledger_service.write_off(conn, WALLET, "MUSD", 9 * MUSD, by="key_anna", note="found", now=now)
            == 3 * MUSD
        )
        assert await ledger_service.write_off(conn, WALLET, "MUSD", 9 * MUSD, by="key_anna", note="found", now=now) == 0
    await world.cycles(sender, 4)
    assert await world.status("ons_1") == "final"


async def test_returned_coins_reduce_the_suspense_first(world: TreasuryWorld) -> None:
    async def look(balance: int, block: int) -> tuple[int, int]:
        async with world.database.write() as conn:
            found = await reconcile(conn, WALLET, "MUSD", balance, block, now=world.clock.now())
        return found.change, found.suspense

    assert await look(100, 1) == (100, 0)
    assert await look(60, 2) == (-40, 40)
    assert await look(90, 3) == (30, 10)
    assert await look(120, 4) == (30, 0)
    assert await look(120, 5) == (0, 0)
    assert (await accounts(world))[Account.EXTERNAL_IN] == -120


async def test_the_database_itself_refuses_to_change_or_lose_a_row(world: TreasuryWorld) -> None:
    await world.owe("ons_1")
    for statement in (sa.update(ledger).values(amount=1), sa.delete(ledger)):
        with pytest.raises(DBAPIError, match="only grows"):
            async with world.database.write() as conn:
                await conn.execute(statement)
    with pytest.raises(DBAPIError):
        async with world.database.write() as conn:
            same = Movement(
                wallet=WALLET, asset="MUSD", kind="x", subject="x", source=Account.GAS, target=Account.GAS, amount=1, at=world.clock.now()
            )  # fmt: skip
            await ledger_service.post(conn, [same])
    assert (await accounts(world))[Account.HELD] == 5 * MUSD


async def test_two_who_post_of_the_wallet_at_once_lose_nothing(world: TreasuryWorld) -> None:
    async def post(amount: int) -> None:
        async with world.database.write() as conn:
            movement = Movement(
                wallet=WALLET, asset="MUSD", kind="top_up", subject=WALLET, source=Account.EXTERNAL_IN,
                target=Account.AVAILABLE, amount=amount, at=world.clock.now(),
            )  # fmt: skip
            await ledger_service.adjust(conn, movement)
            await asyncio.sleep(0.05)

    await asyncio.gather(*(post(amount) for amount in (1, 2, 4)))
    assert (await accounts(world))[Account.AVAILABLE] == 7


async def test_a_wrong_transfer_does_not_stop_the_comparison(world: TreasuryWorld) -> None:
    sender = world.sender()
    await world.mismatched(sender)
    world.chain.balance -= 7 * MUSD
    await world.cycles(sender, 8)
    assert (world.metrics.alarms["transfer_mismatch"], world.metrics.alarms["ledger_difference"]) == (1, 1)
    assert (await accounts(world))[Account.SUSPENSE] == 12 * MUSD
    async with world.database.write() as conn:
        await conn.execute(sa.update(transactions).values(amount=5 * MUSD))
    await world.cycles(sender, 8)
    assert await world.status("ons_1") == "final"
    assert (await accounts(world))[Account.SUSPENSE] == 7 * MUSD
