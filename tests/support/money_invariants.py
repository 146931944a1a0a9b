"""Eleven invariants of a hot wallet, checked along a random history.

I1 nonces have no gaps, and each belongs to one operation;
I2 each payout and each sweep has one transfer;
I3 every transaction on chain is one of our stored attempts;
I4 the ledger's hot accounts equal the chain's balance, except for transactions that are mined and not settled yet (every step);
I5 a status leaves `final` only through a reorganisation;
I6 only stored bytes are sent;
I7 sweeps leave the floor in the wallet, and held plus free amounts equal the balance (every step);
I8 sweeps go only to the pinned Safe, and only while it passes verification;
I9 a pause stops all signatures except a panic's;
I10 no fee is above the ceiling;
I11 in the end, each final payout is a payment on the chain.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from hypothesis.stateful import RuleBasedStateMachine, invariant
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.database import Database
from tests.support.fake_policy import FakePolicy
from tests.support.fake_signer import KeySigner
from tests.support.hot_wallet import MUSD, SAFE, TOKEN, WALLET
from tests.support.treasury_world import TreasuryWorld
from treasury import balances
from treasury.core.history import history
from treasury.core.status import Status
from treasury.ledger import service as ledger_service
from treasury.ledger.states import HOT, Account
from treasury.payouts.table import payouts
from treasury.ports import WalletView
from treasury.sender import operations
from treasury.signers.intent import Intent, NativeTransferIntent, Purpose, TransferIntent
from treasury.signers.protocol import Signed
from treasury.sweeps.model import Sweep
from treasury.sweeps.table import sweeps
from treasury.transactions.table import attempts, transactions

FLOOR = 50 * MUSD
CEILING = 50 * 10**9
BALANCE = 200 * MUSD
"""Base units in the wallet at the start."""
_PAYOUTS = sa.select(payouts.c.id, payouts.c.status, payouts.c.reason, payouts.c.amount, payouts.c.tx_hash)
_SWEEPS = sa.select(sweeps.c.id, sweeps.c.status, sweeps.c.reason, sweeps.c.amount, sweeps.c.tx_hash)
_SIGNED = {Status.SIGNED, Status.BROADCAST, Status.MINED}
_QUEUED = {Status.APPROVED, Status.HELD}
_HELD = (_QUEUED | {Status.PLANNED, Status.AWAITING_APPROVAL}, _QUEUED)
_FLYING = (_SIGNED, _SIGNED)


class FloorPolicy(FakePolicy):
    """A policy that refuses a sweep which would take the wallet below FLOOR."""

    async def sweep_objection(self, conn: AsyncConnection, sweep: Sweep, view: WalletView, now: datetime) -> str | None:
        outgoing = await operations.outgoing(conn, WALLET, sweep.asset, view.block_number)
        return "below the floor" if sweep.token == TOKEN and view.token - outgoing - sweep.amount < FLOOR else None


class CheckingSigner(KeySigner):
    """A signer that checks I7 to I10 at each signature."""

    def __init__(self, world: TreasuryWorld) -> None:
        super().__init__()
        self._world = world

    async def sign(self, intent: Intent) -> Signed:
        world = self._world
        signed = await super().sign(intent)
        assert intent.max_fee <= CEILING, "I10"
        if isinstance(intent, TransferIntent | NativeTransferIntent) and intent.purpose is not Purpose.PAYOUT:
            assert intent.to == SAFE, "I8: another destination"
            assert not world.cold.reasons, "I8: the Safe does not prove itself"
        if intent.purpose is Purpose.PAYOUT:
            assert not world.pause.payouts, "I9"
        if intent.purpose is Purpose.SWEEP:
            assert not world.pause.sweeps, "I9"
            if isinstance(intent, TransferIntent):
                assert world.chain.balance - intent.amount >= FLOOR, "I7: below the floor"
        return signed


class Invariants(RuleBasedStateMachine):
    """Checks the invariants after each step of a history and at its end; a subclass defines the steps."""

    database: Database
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    world: TreasuryWorld
    sessions: dict[str, bool]
    """By purchase: whether Stripe confirms it."""
    came_in: int
    """Base units received from outside since the start."""

    async def _rows(self) -> tuple[list[Any], list[Any]]:
        async with self.database.read() as conn:
            owed = (await conn.execute(_PAYOUTS)).fetchall()
            return list(owed), list((await conn.execute(_SWEEPS)).fetchall())

    async def _all_arrived(self) -> bool:
        owed, swept = await self._rows()
        over = {Status.FINAL, Status.CANCELLED, Status.REVERTED, Status.AWAITING_APPROVAL}
        return all(row.status == Status.FINAL for row in owed) and all(row.status in over for row in swept)

    async def _what_waits(self) -> str:
        owed, swept = await self._rows()
        return repr([tuple(row) for row in [*owed, *swept] if row.status != Status.FINAL])

    async def _agrees(self) -> None:
        async with self.database.read() as conn:
            book = await ledger_service.balances(conn, WALLET, "MUSD")
        assert sum(book[account] for account in HOT if account in book) == self.world.chain.balance, "I4: at the end"
        assert not book.get(Account.SUSPENSE, 0), "I4: coins without a row"
        owed, _ = await self._rows()
        made = Counter((tx_hash, payment.amount) for tx_hash, payment in self.world.chain.payments())
        finals = Counter((row.tx_hash, row.amount) for row in owed if row.status == Status.FINAL)
        assert finals <= made, "I11: final without a payment on the chain"

    @invariant()
    def the_books_are_right(self) -> None:
        if hasattr(self, "world"):
            self.run(self._the_books_are_right())

    async def _the_books_are_right(self) -> None:
        chain = self.world.chain
        async with self.database.read() as conn:
            book = Counter(await ledger_service.balances(conn, WALLET, "MUSD"))
            opened = await ledger_service.is_opened(conn, WALLET, "MUSD")
        owed, swept = await self._rows()
        for account, places in ((Account.HELD, _HELD), (Account.IN_FLIGHT, _FLYING)):
            rows = sum(row.amount for row, table in [*((r, 0) for r in owed), *((r, 1) for r in swept)] if row.status in places[table])  # fmt: skip
            assert book[account] == rows, f"I7: {account}"
        assert sum(book.values()) == 0, "I7: the books are out of balance"
        if not opened:
            return
        final, amounts = Counter[str](), Counter[str]()
        for row in [*owed, *swept]:
            final[row.tx_hash] += row.amount if row.status == Status.FINAL else 0
        for tx_hash, payment in chain.payments():
            amounts[tx_hash] += payment.amount
        final = +final
        expected = chain.balance + sum(amount for tx_hash, amount in amounts.items() if tx_hash not in final)
        expected -= sum(amount for tx_hash, amount in final.items() if tx_hash not in amounts)
        unseen = self.came_in + BALANCE + book[Account.EXTERNAL_IN]
        assert sum(book[account] for account in HOT) + unseen == expected, "I4: the ledger is not the chain"
        assert unseen >= 0, "I4: more came in than did"
        assert book[Account.SUSPENSE] == 0, "I4: coins without a row"

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.run(self._everything_holds())

    async def _everything_holds(self) -> None:
        world, chain = self.world, self.world.chain
        async with self.database.read() as conn:
            tries = (await conn.execute(sa.select(attempts.c.hash, attempts.c.raw))).fetchall()
            moves = (
                await conn.execute(sa.select(history.c.from_status, history.c.to_status, history.c.note))
            ).fetchall()
            nonces = list((await conn.execute(sa.select(transactions.c.nonce))).scalars())
            free = await balances.available(conn, WALLET, "MUSD")
        ours = [nonce for nonce in nonces if nonce is not None]
        assert sorted(ours) == list(range(len(ours))), "I1"
        assert sorted(mined.tx.nonce for mined in chain.mined.values()) == list(range(chain.nonce)), "I1"
        carried = Counter(payment.reference for _, payment in chain.payments())
        assert not carried or max(carried.values()) == 1, "I2"
        assert set(chain.mined) <= {row.hash for row in tries}, "I3"
        assert set(chain.received) <= {bytes(row.raw) for row in tries}, "I6"
        assert all((to, "is now" in note) == ("broadcast", True) for frm, to, note in moves if frm == "final"), "I5"
        assert free.available + free.reserved == free.on_chain or free.available == 0, "I7"
        unpaid = {session for session, paid in self.sessions.items() if not paid}
        for session in unpaid:
            assert (await world.payout(session)).transaction_id is None, (
                "a payout that Stripe does not confirm was signed"
            )
