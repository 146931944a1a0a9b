"""USDC is receivable with the payout and cleared once, however many persons settle it."""

import asyncio

import pytest

from kit.http.problems import Problem
from tests.support.hot_wallet import MUSD, TOKEN, WALLET
from tests.support.ledger_accounts import accounts
from tests.support.treasury_world import TreasuryWorld
from treasury.ledger import usdc
from treasury.ledger.states import Account
from treasury.payouts import service as payouts_service
from treasury.reconciliation import reconcile


async def test_usdc_is_receivable_with_the_payout_and_cleared_once(world: TreasuryWorld) -> None:
    async with world.database.write() as conn:
        for number in (1, 2):
            for _ in range(2):
                await payouts_service.create_payout(
                    conn, session_id=f"ons_{number}", stripe_session_id="cos_1", to=WALLET, amount=MUSD, token=TOKEN,
                    wallet=WALLET, now=world.clock.now(), ids=world.ids, usdc=10_000_000,
                )  # fmt: skip
        waiting = await usdc.receivable(conn, [WALLET])
        assert [(one.session_id, one.amount) for one in waiting] == [("ons_1", 10**7), ("ons_2", 10**7)]
        now = world.clock.now()
        for _ in range(2):
            cleared = await usdc.settle(conn, wallets=[WALLET], tx_hash="0x01", by="key", now=now, amount=12 * 10**6)
            assert [(one.subject, one.amount) for one in cleared] == [("ons_1", 10**7), ("ons_2", 2 * 10**6)]
        with pytest.raises(Problem):
            await usdc.settle(conn, wallets=[WALLET], tx_hash="0x02", by="key", now=now, amount=9 * 10**6)
        await usdc.settle(conn, wallets=[WALLET], tx_hash="0x03", by="key", now=now, session_id="ons_2")
        assert await usdc.receivable(conn, [WALLET]) == []
    assert await accounts(world, "USDC") == {Account.SOLD: -2 * 10**7, Account.SETTLED: 2 * 10**7}


async def test_two_who_settle_usdc_at_once_clear_what_each_of_them_says(world: TreasuryWorld) -> None:
    async def settle(tx_hash: str) -> int:
        async with world.database.write() as conn:
            now = world.clock.now()
            done = await usdc.settle(conn, wallets=[WALLET], tx_hash=tx_hash, by="key", now=now, amount=10)
            await asyncio.sleep(0.05)
            return sum(row.amount for row in done)

    async with world.database.write() as conn:
        for number in range(3):
            await usdc.post_receivable(conn, f"ons_{number}", 10, wallet=WALLET, now=world.clock.now())
    assert await asyncio.gather(*(settle(f"0x{number}") for number in range(3))) == [10, 10, 10]
    assert (await accounts(world, "USDC"))[Account.SETTLED] == 30


async def test_one_transfer_of_usdc_that_two_persons_settle_at_once_clears_once(world: TreasuryWorld) -> None:
    async def settle(session_id: str) -> list[str]:
        async with world.database.write() as conn:
            arguments = {"wallets": [WALLET], "tx_hash": "0x01", "by": "key", "now": world.clock.now()}
            done = await usdc.settle(conn, session_id=session_id, **arguments)  # type: ignore[arg-type]
            await asyncio.sleep(0.4)
            return [row.subject for row in done]

    async with world.database.write() as conn:
        for number in range(2):
            await usdc.post_receivable(conn, f"ons_{number}", 10, wallet=WALLET, now=world.clock.now())
    one, other = await asyncio.gather(settle("ons_0"), settle("ons_1"))
    assert one == other
    assert (await accounts(world, "USDC"))[Account.SETTLED] == 10


async def test_usdc_that_the_hot_wallet_holds_is_not_what_stripe_owes(world: TreasuryWorld) -> None:
    async with world.database.write() as conn:
        now = world.clock.now()
        await usdc.post_receivable(conn, "ons_1", 10, wallet=WALLET, now=now)
        await reconcile(conn, WALLET, "USDC", 7, 1, now=now)
        assert [(one.session_id, one.amount) for one in await usdc.receivable(conn, [WALLET])] == [("ons_1", 10)]
        await usdc.settle(conn, wallets=[WALLET], tx_hash="0x01", by="key", now=now, amount=10)
    books = await accounts(world, "USDC")
    assert (books[Account.SETTLED], books[Account.AVAILABLE]) == (10, 7)
