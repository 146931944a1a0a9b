"""The running totals are what all postings come to, whenever and however often they are merged, and cost what is open."""

import random
from collections import Counter
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import Database, connect
from kit.http.problems import Problem
from onramp import migrations
from tests.support.migrating import upgrade_to
from treasury.ledger import service as ledger_service
from treasury.ledger import totals, usdc
from treasury.ledger.model import Movement
from treasury.ledger.states import Account
from treasury.ledger.table import ledger

NOW = datetime(2026, 11, 21, tzinfo=UTC)
WALLETS = ("0x" + "a1" * 20, "0x" + "b2" * 20)
EVERYWHERE = (Account.AVAILABLE, Account.HELD, Account.IN_FLIGHT, Account.PAID_OUT)
HUGE = 2**200


async def added_up(database: Database, wallet: str, asset: str) -> dict[Account, int]:
    """Return the balances by reading every posting."""
    balances: Counter[Account] = Counter()
    async with database.read() as conn:
        for posting in await ledger_service.select(conn, ledger.c.wallet == wallet, ledger.c.asset == asset):
            balances[posting.from_account] -= posting.amount
            balances[posting.to_account] += posting.amount
    return dict(balances)


async def owed(database: Database) -> dict[str, int]:
    """Return the USDC that is receivable by session, by reading every posting."""
    amounts: Counter[str] = Counter()
    async with database.read() as conn:
        for posting in await ledger_service.select(conn, ledger.c.asset == "USDC"):
            amounts[posting.subject] += posting.amount if posting.to_account is Account.RECEIVABLE else -posting.amount
    return {session: amount for session, amount in amounts.items() if amount}


async def rows(database: Database) -> int:
    async with database.read() as conn:
        return int(await conn.scalar(sa.select(sa.func.count()).select_from(totals.ledger_totals)) or 0)


class History:
    """Random movements, settlements and reversals."""

    def __init__(self, database: Database, seed: int) -> None:
        self.database = database
        self.random = random.Random(seed)
        self.number = 0

    async def step(self) -> None:
        """Post something, or merge."""
        self.number += 1
        async with self.database.write() as conn:
            match self.random.choice(("move", "move", "sell", "sell", "settle", "reverse", "fold")):
                case "move":
                    source, target = self.random.sample(EVERYWHERE, 2)
                    movement = Movement(
                        wallet=self.random.choice(WALLETS),
                        asset="MUSD",
                        kind="hold",
                        subject=f"pay_{self.random.randrange(9)}",
                        source=source,
                        target=target,
                        amount=self.random.choice((1, 7, HUGE)),
                        at=NOW,
                    )
                    await ledger_service.adjust(conn, movement)
                case "sell":
                    await usdc.post_receivable(conn, f"ons_{self.number}", self.random.randrange(1, 9), wallet=self.random.choice(WALLETS), now=NOW)  # fmt: skip
                case "settle":
                    await self._settle(conn)
                case "reverse":
                    tx_hash = f"0x{self.random.randrange(self.number):x}"
                    await usdc.reverse(conn, wallets=WALLETS, tx_hash=tx_hash, session_id=None, by="x", now=NOW)
                case "fold":
                    await totals.fold(conn)

    async def _settle(self, conn: AsyncConnection) -> None:
        try:
            await usdc.settle(
                conn,
                wallets=WALLETS,
                tx_hash=f"0x{self.number:x}",
                by="x",
                now=NOW,
                amount=self.random.randrange(1, 12),
            )
        except Problem as problem:
            assert problem.code == "insufficient_available"


@pytest.mark.parametrize("seed", range(3))
async def test_totals_are_exact(database: Database, seed: int) -> None:
    history = History(database, seed)
    for _ in range(120):
        await history.step()
        async with database.read() as conn:
            waiting = await usdc.receivable(conn, WALLETS)
        assert {row.session_id: row.amount for row in waiting} == await owed(database)
    for wallet in WALLETS:
        for asset in ("MUSD", "USDC"):
            async with database.read() as conn:
                balances = await ledger_service.balances(conn, wallet, asset)
            exact = await added_up(database, wallet, asset)
            assert {account: amount for account, amount in balances.items() if amount} == {
                account: amount for account, amount in exact.items() if amount
            }
            assert sum(balances.values()) == 0


async def test_what_is_settled_leaves_no_rows(database: Database) -> None:
    async with database.write() as conn:
        for number in range(700):
            await usdc.post_receivable(conn, f"ons_{number}", 5, wallet=WALLETS[0], now=NOW)
        await usdc.settle(conn, wallets=WALLETS, tx_hash="0x1", by="x", now=NOW, amount=699 * 5)
        while await totals.changes(conn) > 3:
            await totals.fold(conn)
        assert [row.session_id for row in await usdc.receivable(conn, WALLETS)] == ["ons_699"]
    assert await rows(database) <= 4


async def test_the_migration_adds_up_what_was_posted_before(empty_url: str) -> None:
    database = connect(empty_url)
    await upgrade_to(database, "0026")
    async with database.write() as conn:
        await conn.execute(sa.insert(ledger), [posting(0, "receivable", Account.SOLD, Account.RECEIVABLE, 2**90)])
        await conn.execute(sa.insert(ledger), [posting(1, "settle_usdc", Account.RECEIVABLE, Account.SETTLED, 2**89)])
        for sequence, kind, accounts in (
            (0, "receivable", (Account.SOLD, Account.RECEIVABLE)),
            (1, "settle_usdc", (Account.RECEIVABLE, Account.SETTLED)),
        ):
            await conn.execute(sa.insert(ledger), [posting(sequence, kind, *accounts, 9) | {"subject": "ons_settled"}])
    await migrations.upgrade(database)
    async with database.write() as conn:
        assert await totals.open_sessions(conn, WALLETS) == ["ons_1"], "what was settled before is not kept by session"
        await conn.execute(sa.insert(ledger), [posting(2, "settle_usdc", Account.RECEIVABLE, Account.SETTLED, 7)])
        assert [row.amount for row in await usdc.receivable(conn, WALLETS)] == [2**89 - 7]
        balances = await ledger_service.balances(conn, WALLETS[0], "USDC")
    assert balances == {Account.SOLD: -(2**90) - 9, Account.RECEIVABLE: 2**89 - 7, Account.SETTLED: 2**89 + 16}
    await database.close()


def posting(sequence: int, kind: str, source: Account, target: Account, amount: int) -> dict[str, object]:
    return {
        "wallet": WALLETS[0], "asset": "USDC", "kind": kind, "subject": "ons_1", "sequence": sequence, "from_account": source,
        "to_account": target, "amount": amount, "actor": "x", "note": "0x1", "at": NOW,
    }  # fmt: skip
