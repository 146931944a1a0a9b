"""Random histories of payouts, sweeps and misfortunes: whatever happens, the treasury's invariants hold.

The sender is the real one, on a real database, with a scripted chain and a clock that tests move. The invariants are
those that the best senders share: I1 nonces dense, one operation each; I2 one transfer for each payout and sweep; I3
every transaction on chain is one of our attempts; I4 the ledger's hot wallet is the chain's balance but for what is
mined and not settled yet, at every step; I5 nothing leaves `final` but by a reorganisation; I6 nothing is sent
that is not stored; I7 sweeps leave the floor, and what is held and free sums to the balance, at every step; I8 sweeps go to the pinned
Safe while it proves itself; I9 a pause stops signatures, but not a panic's; I10 no fee above the ceiling. And once all is well again, whatever is owed
arrives, and ledger and chain agree.
"""

import asyncio
import logging
import os
import secrets
import traceback
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from typing import Any

import sqlalchemy as sa
import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.erc20 import split_payout_calldata
from kit.database import Database
from kit.problems import Problem
from tests.treasury.fakes import MUSD, SAFE, TOKEN, WALLET, KeySigner
from tests.treasury.inline import InlineDatabase
from tests.treasury.rules import Policy
from tests.treasury.world import Crash, World
from treasury import inventory
from treasury.history import history
from treasury.ledger import service as ledger
from treasury.ledger.machine import HOT, Account
from treasury.payouts import deciding
from treasury.payouts.table import payouts
from treasury.ports import WalletView
from treasury.sender import CHECKPOINTS, operations
from treasury.signers.intent import Intent, NativeTransferIntent, Purpose, TransferIntent
from treasury.signers.protocol import Signed
from treasury.status import Status
from treasury.sweeps.machine import Kind
from treasury.sweeps.table import Sweep, sweeps
from treasury.transactions.table import attempts, transactions

PROVE = bool(os.environ.get("PROVE"))
HISTORIES = int(os.environ.get("HISTORIES", "2000"))
"""`make prove` with HISTORIES=100000 lives as many, longer ones, and others each time."""
STEPS = 40 if PROVE else 8
PROCESSES = 2
FLOOR = 50 * MUSD
STOCK = 1_000 * MUSD
_ENOUGH = 60
_PAYOUTS = sa.select(payouts.c.id, payouts.c.status, payouts.c.reason, payouts.c.amount, payouts.c.tx_hash)
_SWEEPS = sa.select(sweeps.c.id, sweeps.c.status, sweeps.c.reason, sweeps.c.amount, sweeps.c.tx_hash)
_SIGNED = {Status.SIGNED, Status.BROADCAST, Status.MINED}
_QUEUED = {Status.APPROVED, Status.HELD}
_HELD = (_QUEUED | {Status.PLANNED, Status.AWAITING_APPROVAL}, _QUEUED)
_FLYING = (_SIGNED, _SIGNED)
CEILING = 50 * 10**9


class Floor(Policy):
    """Sweeps leave the floor."""

    async def sweep_objection(self, conn: AsyncConnection, sweep: Sweep, view: WalletView, now: datetime) -> str | None:
        leaving = await operations.leaving(conn, WALLET, sweep.asset, view.block_number)
        return "below the floor" if sweep.token == TOKEN and view.token - leaving - sweep.amount < FLOOR else None


class Watched(KeySigner):
    """Looks, at the moment of each signature, at what must be so then."""

    def __init__(self, world: World) -> None:
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


_SELDOM = st.sampled_from([False, False, False, True])


class Histories(RuleBasedStateMachine):
    """One wallet's life."""

    database: Database
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize(depth=st.sampled_from([1, 1, 4]))
    def begin(self, depth: int) -> None:
        self.world = World(self.database)
        self.world.policy = Floor()
        self.world.signer = Watched(self.world)
        self.world.chain.balance = 200 * MUSD
        self.run(self.world.forget())
        self.world.chain.room = self.depth = depth
        self.sender = self.world.sender(max_in_flight=depth)
        self.sessions: dict[str, bool] = {}
        self.panicked = self.healed = False
        self.came_in = 0

    @rule(amount=st.integers(1, 60), paid=st.sampled_from([True] * 7 + [False]))
    def owe(self, amount: int, paid: bool) -> None:
        session = f"ons_{len(self.sessions)}"
        self.sessions[session] = paid
        self.world.clock.seconds += 1
        self.run(self.world.owe(session, amount * MUSD, paid=paid))

    @rule()
    def the_buyer_did_pay_after_all(self) -> None:
        for session, paid in self.sessions.items():
            if not paid:
                payout = self.run(self.world.payout(session))
                self.run(self.world.owe(session, payout.amount))
                self.sessions[session] = True

    @rule(amount=st.integers(1, 120), kind=st.sampled_from([Kind.SWEEP] * 4 + [Kind.PANIC]), approved=st.booleans())
    def sweep(self, amount: int, kind: Kind, approved: bool) -> None:
        try:
            self.run(self.world.sweep(amount * MUSD, kind=kind, approved=approved))
        except Problem as problem:
            assert problem.code == "already_active"
        else:
            self.panicked |= kind is Kind.PANIC and approved

    @rule(blocks=st.integers(1, 3))
    def time_passes(self, blocks: int) -> None:
        self.world.clock.seconds += 15
        self.world.chain.mine(blocks)
        self.work()

    @rule()
    def a_block_comes(self) -> None:
        self.world.clock.seconds += 4
        self.world.chain.mine(1)
        self.work()

    def work(self) -> None:
        for _ in range(4):
            try:
                if not self.run(self.sender.step()):
                    return
            except Crash:
                self.sender = self.world.sender(max_in_flight=self.depth)

    @rule(name=st.sampled_from(CHECKPOINTS))
    def the_process_dies(self, name: str) -> None:
        left = [name]

        def checkpoint(reached: str) -> None:
            if left == [reached]:
                left.clear()
                raise Crash(reached)

        self.sender = self.world.sender(checkpoint, max_in_flight=self.depth)
        self.work()

    @rule(payouts=_SELDOM, swept=_SELDOM, drift=_SELDOM, reverts=_SELDOM)
    def people_and_the_safe_change(self, payouts: bool, swept: bool, drift: bool, reverts: bool) -> None:
        self.world.pause.payouts, self.world.pause.sweeps = payouts, swept
        self.world.cold.reasons = ("It has modules.",) if drift else ()
        self.world.chain.reverts = reverts
        self.work()

    @rule(
        gwei=st.sampled_from([1, 2, 5, 60]),
        unwell=st.sampled_from(["", "", "", "deaf", "unreachable", "down", "silent"]),
    )
    def the_outside_changes(self, gwei: int, unwell: str) -> None:
        chain = self.world.chain
        chain.deaf, chain.unreachable = unwell == "deaf", unwell == "unreachable"
        self.world.signer.down, self.world.stripe.down = unwell == "down", unwell == "silent"
        chain.fee = chain.floor = gwei * 10**9
        chain.pending.clear()  # nodes forget what offers too little, and may forget anything
        self.work()

    @precondition(lambda self: any(not mined.reverted for mined in self.world.chain.mined.values()))
    @rule()
    def the_newest_block_changes(self) -> None:
        chain = self.world.chain
        last = max(chain.mined.values(), key=lambda mined: mined.tx.nonce)
        if last.reverted or chain.pending:
            return
        del chain.mined[last.tx.hash]
        parts = split_payout_calldata(last.tx.data)
        chain.nonce, chain.balance = last.tx.nonce, chain.balance + (parts[1] if parts else 0)
        chain.forks[last.block.number] = "0x" + os.urandom(32).hex()

    @rule(person=st.sampled_from(["anna", "bert"]))
    def people_try_again(self, person: str) -> None:
        for session in self.sessions:
            payout = self.run(self.world.payout(session))
            if payout.status in {Status.REVERTED, Status.REJECTED} and payout.retry_person != person:
                self.run(self._retry(payout.id, person))

    async def _retry(self, payout_id: str, person: str) -> None:
        async with self.database.write() as conn:
            now = self.world.clock.now()
            await deciding.retry(conn, payout_id, wallet=WALLET, by=f"key_{person}", person=person, now=now)

    @precondition(lambda self: not self.healed)
    @rule()
    def all_is_well_again(self) -> None:
        world, chain = self.world, self.world.chain
        self.healed = True
        self.people_and_the_safe_change_back()
        for _ in range(_ENOUGH):
            self.top_up(max(0, STOCK - chain.balance))
            self.people_try_again("anna")
            self.people_try_again("bert")
            self.work()
            if self.run(self._all_arrived()):
                break
            self.world.clock.seconds += 15
            chain.mine(2)
        else:
            raise AssertionError("liveness: " + self.run(self._what_waits()))
        world.clock.seconds += 90
        chain.mine(2)
        self.work()
        self.run(self._agrees())

    def top_up(self, amount: int) -> None:
        self.world.chain.balance += amount
        self.came_in += amount

    def people_and_the_safe_change_back(self) -> None:
        world, chain = self.world, self.world.chain
        world.pause.payouts = world.pause.sweeps = False
        world.cold.reasons = ()
        chain.reverts = chain.deaf = chain.unreachable = world.signer.down = world.stripe.down = False
        chain.fee = chain.floor = 10**9
        self.the_buyer_did_pay_after_all()

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
            book = await ledger.balances(conn, WALLET, "MUSD")
        assert sum(book[account] for account in HOT if account in book) == self.world.chain.balance, "I4: at the end"
        assert not book.get(Account.SUSPENSE, 0), "I4: coins without a row"

    @invariant()
    def the_books_are_right(self) -> None:
        if hasattr(self, "world"):
            self.run(self._the_books_are_right())

    async def _the_books_are_right(self) -> None:
        chain = self.world.chain
        async with self.database.read() as conn:
            book = Counter(await ledger.balances(conn, WALLET, "MUSD"))
            opened = await ledger.opened(conn, WALLET, "MUSD")
        owed, swept = await self._rows()
        for account, places in ((Account.HELD, _HELD), (Account.IN_FLIGHT, _FLYING)):
            rows = sum(row.amount for row, table in [*((r, 0) for r in owed), *((r, 1) for r in swept)] if row.status in places[table])  # fmt: skip
            assert book[account] == rows, f"I7: {account}"
        assert sum(book.values()) == 0, "I7: the books are out of balance"
        if not opened:
            return
        final = {row.tx_hash: row.amount for row in [*owed, *swept] if row.status == Status.FINAL}
        left = {tx.hash: parts[1] for tx in chain.transfers() if (parts := split_payout_calldata(tx.data))}
        known = chain.balance + sum(amount for tx_hash, amount in left.items() if tx_hash not in final)
        known -= sum(amount for tx_hash, amount in final.items() if tx_hash not in left)
        unseen = self.came_in + 200 * MUSD + book[Account.EXTERNAL_IN]
        assert sum(book[account] for account in HOT) + unseen == known, "I4: the ledger is not the chain"
        assert unseen >= 0, "I4: more came in than did"
        assert book[Account.SUSPENSE] == 0, "I4: coins without a row"

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.run(self._everything_holds())

    async def _everything_holds(self) -> None:
        world, chain = self.world, self.world.chain
        async with self.database.read() as conn:
            tries = (await conn.execute(sa.select(attempts.c.hash, attempts.c.raw))).fetchall()
            moves = (await conn.execute(sa.select(history.c["from"], history.c.to, history.c.note))).fetchall()
            nonces = list((await conn.execute(sa.select(transactions.c.nonce))).scalars())
            free = await inventory.available(conn, WALLET, "MUSD")
        ours = [nonce for nonce in nonces if nonce is not None]
        assert sorted(ours) == list(range(len(ours))), "I1"
        assert sorted(mined.tx.nonce for mined in chain.mined.values()) == list(range(chain.nonce)), "I1"
        carried = Counter(parts[2] for tx in chain.transfers() if (parts := split_payout_calldata(tx.data)))
        assert not carried or max(carried.values()) == 1, "I2"
        assert set(chain.mined) <= {row.hash for row in tries}, "I3"
        assert set(chain.received) <= {bytes(row.raw) for row in tries}, "I6"
        assert all((to, "is now" in note) == ("broadcast", True) for frm, to, note in moves if frm == "final"), "I5"
        assert free.available + free.held == free.on_chain or free.available == 0, "I7"
        unpaid = {session for session, paid in self.sessions.items() if not paid}
        for session in unpaid:
            assert (await world.payout(session)).transaction_id is None, (
                "a payout that Stripe does not confirm was signed"
            )


def _silence(_logger: Any, _method: str, _event: Any) -> Any:
    """A thousand lives ring thousands of alarms."""
    raise structlog.DropEvent


def live(part: int, count: int) -> str:
    """So many lives in this process; the shortest one that broke an invariant as text, or nothing."""
    loop = asyncio.new_event_loop()
    database = InlineDatabase()
    structlog.configure(processors=[_silence], wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    class Here(Histories):
        pass

    Here.database, Here.loop = database, loop
    try:
        run_state_machine_as_test(
            seed(part)(Here),
            settings=settings(
                max_examples=count,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )
    except BaseException:  # noqa: BLE001 - whatever it is, the other process has to hear of it
        return traceback.format_exc()
    finally:
        loop.run_until_complete(database.close())
        loop.close()
    return ""


def test_whatever_happens_the_invariants_hold() -> None:
    first = secrets.randbelow(2**32) if PROVE else 1
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        told = list(pool.map(live, range(first, first + PROCESSES), [HISTORIES // PROCESSES] * PROCESSES))
    assert not any(told), f"from seed {first}\n" + "\n".join(told)
