"""Random histories of payouts, sweeps and failures: the treasury's invariants hold throughout.

The sender is the real one, on a real database, with a scripted chain and a clock that tests move. Once the failures end,
everything owed arrives, and ledger and chain agree.
"""

import asyncio
import logging
import os
import secrets
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from chain.payonce import ADDRESS
from chain.types import to_checksum
from kit.audit.actor import Actor
from kit.db.database import connect
from kit.http.problems import Problem
from tests.support.crashes import Crash
from tests.support.hot_wallet import MUSD, WALLET
from tests.support.inline_database import InlineDatabase
from tests.support.money_invariants import BALANCE, CheckingSigner, FloorPolicy, Invariants
from tests.support.treasury_world import TreasuryWorld
from treasury.core.status import Status
from treasury.payouts import approvals
from treasury.sender import CHECKPOINTS
from treasury.sweeps.states import SweepKind

pytestmark = pytest.mark.starts_first

PROVE = bool(os.environ.get("PROVE"))
HISTORIES = int(os.environ.get("HISTORIES", "2000" if PROVE else "300"))
"""`make prove` with HISTORIES=100000 lives as many, longer ones, and others each time."""
STEPS = 40 if PROVE else 8
ON_POSTGRES = max(6, HISTORIES // 50)
"""The same histories, in the same order, on Postgres, where each statement takes many times as long."""
PROCESSES = 2
STOCK = 1_000 * MUSD
BUYERS = [to_checksum("0x" + digit * 40) for digit in "bcd"]
_ENOUGH = 60
_REFUSED = 3
"""After how many blocks without other failures the token pays everyone."""
_SELDOM = st.sampled_from([False, False, False, True])


class Histories(Invariants):
    """The history of one wallet."""

    @initialize(
        depth=st.sampled_from([1, 1, 4]),
        contract=st.sampled_from([None, ADDRESS]),
        refused=st.sets(st.sampled_from(BUYERS), max_size=2),
    )
    def begin(self, depth: int, contract: str | None, refused: set[str]) -> None:
        self.world = TreasuryWorld(self.database)
        self.world.contract = contract
        self.world.chain.refused = refused
        self.world.policy = FloorPolicy()
        self.world.signer = CheckingSigner(self.world)
        self.world.chain.balance = BALANCE
        self.run(self.world.forget())
        self.world.chain.room = self.depth = depth
        self.sender = self.world.sender(max_in_flight=depth)
        self.sessions: dict[str, bool] = {}
        self.panicked = self.healed = False
        self.came_in = 0

    @rule(amount=st.integers(1, 60), paid=st.sampled_from([True] * 7 + [False]), to=st.sampled_from(BUYERS))
    def owe(self, amount: int, paid: bool, to: str) -> None:
        session = f"ons_{len(self.sessions)}"
        self.sessions[session] = paid
        self.world.clock.seconds += 1
        self.run(self.world.owe(session, amount * MUSD, to, paid=paid))

    @rule()
    def the_buyer_did_pay_after_all(self) -> None:
        for session, paid in self.sessions.items():
            if not paid:
                payout = self.run(self.world.payout(session))
                self.run(self.world.owe(session, payout.amount, payout.to))
                self.sessions[session] = True

    @rule(
        amount=st.integers(1, 120),
        kind=st.sampled_from([SweepKind.SWEEP] * 4 + [SweepKind.PANIC]),
        approved=st.booleans(),
    )
    def sweep(self, amount: int, kind: SweepKind, approved: bool) -> None:
        try:
            self.run(self.world.sweep(amount * MUSD, kind=kind, approved=approved))
        except Problem as problem:
            assert problem.code == "already_active"
        else:
            self.panicked |= kind is SweepKind.PANIC and approved

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

    @rule(to=st.sampled_from(BUYERS))
    def the_token_refuses_a_recipient(self, to: str) -> None:
        """Only the contract makes the other payments of a batch nevertheless."""
        self.world.chain.refused ^= {to}

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
        chain.pending.clear()  # nodes forget transactions whose fee is too low, and may forget any
        self.work()

    @precondition(lambda self: any(not mined.reverted for mined in self.world.chain.mined.values()))
    @rule()
    def the_newest_block_changes(self) -> None:
        chain = self.world.chain
        last = max(chain.mined.values(), key=lambda mined: mined.tx.nonce)
        if last.reverted or chain.pending:
            return
        chain.unmine(last.tx.hash)

    @rule(person=st.sampled_from(["anna", "bert"]))
    def people_try_again(self, person: str) -> None:
        for session in self.sessions:
            payout = self.run(self.world.payout(session))
            if payout.status in {Status.REVERTED, Status.REJECTED} and payout.retry_person != person:
                self.run(self._retry(payout.id, person))

    async def _retry(self, payout_id: str, person: str) -> None:
        async with self.database.write() as conn:
            now = self.world.clock.now()
            await approvals.retry(conn, payout_id, Actor(f"key_{person}", person), wallet=WALLET, now=now)

    @precondition(lambda self: not self.healed)
    @rule()
    def all_is_well_again(self) -> None:
        world, chain = self.world, self.world.chain
        self.healed = True
        self.people_and_the_safe_change_back()
        for attempt in range(_ENOUGH):
            if attempt == _REFUSED:
                chain.refused.clear()
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


def _silence(_logger: Any, _method: str, _event: Any) -> Any:
    """Thousands of histories log thousands of alarms."""
    raise structlog.DropEvent


def live(part: int, count: int, url: str = "") -> str:
    """Run histories in this process; return the shortest one that broke an invariant as text, or nothing.

    They run on the Postgres database of `url`, or on SQLite in memory.
    """
    loop = asyncio.new_event_loop()
    database = connect(url) if url else InlineDatabase()
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


def test_whatever_happens_the_invariants_hold_on_postgres(postgres_url: str) -> None:
    first = secrets.randbelow(2**32) if PROVE else 1
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        told = pool.submit(live, first, ON_POSTGRES, postgres_url).result()
    assert not told, f"from seed {first}\n{told}"
