"""Random histories of PayOnce on the real node, with MUSD and hostile tokens, against a model of what may happen.

After each batch: one event for each payment, exactly the events of the model, and no other coin has moved. Whatever the gas limit is, a
batch reverts as a whole or does exactly what it does with plenty. `make prove` lives more and longer histories, others each time.
"""

import asyncio
import itertools
import os
import secrets
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from chain.abi.payonce import AlreadyPaid, Event, Failed, Paid, Payment
from chain.types import ZERO_ADDRESS, Address, keccak, to_checksum
from tests.support.payonce_chain import BLOCKED, FULL_GAS, TOKENS, Outcome, PayOnceChain

PROVE: Final = bool(os.environ.get("PROVE"))
HISTORIES: Final = int(os.environ.get("HISTORIES", "300" if PROVE else "15"))
STEPS: Final = 20 if PROVE else 8
NAMES: Final = ("MUSD", *TOKENS)
RECIPIENTS: Final = (*(to_checksum("0x" + digit * 40) for digit in "789"), BLOCKED, ZERO_ADDRESS)

Result = TypeVar("Result")
_histories = itertools.count(secrets.randbits(64))
_places = st.integers(0, 5)
_payments = st.lists(
    st.tuples(_places, st.sampled_from(RECIPIENTS), st.sampled_from([0, 1, 9, 10, 250, 2**255])), max_size=6
)


class Histories(RuleBasedStateMachine):
    """Three payers, eleven tokens, six references in each history; the model holds balances, allowances and marks."""

    world: PayOnceChain
    loop: asyncio.AbstractEventLoop

    def wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        number = next(_histories)
        self.references = [keccak(b"%d %d" % (number, place)) for place in range(6)]
        self.marks: dict[tuple[Address, bytes], int] = {}
        self.allowances: dict[tuple[str, Address], int] = {}
        self.balances: dict[tuple[str, Address], int] = {}

    async def _learn(self, name: str) -> None:
        """Read where a token's model begins, once in each history."""
        if (name, RECIPIENTS[0]) in self.balances:
            return
        for holder in (*self.world.payers, *RECIPIENTS, self.world.tokens[name], self.world.contract):
            self.balances[name, holder] = await self.world.balance(name, holder)
        for payer in self.world.payers:
            self.allowances[name, payer] = await self.world.allowance(name, payer)

    @rule(name=st.sampled_from(NAMES), payer=st.integers(0, 2), amount=st.sampled_from([0, 9, 300, 2**256 - 1]))
    def approve(self, name: str, payer: int, amount: int) -> None:
        self.wait(self._learn(name))
        self.wait(self.world.approve(name, self.world.payers[payer], amount))
        self.allowances[name, self.world.payers[payer]] = amount

    @rule(name=st.sampled_from(NAMES), payer=st.integers(0, 2), amount=st.integers(1, 400))
    def mint(self, name: str, payer: int, amount: int) -> None:
        self.wait(self._learn(name))
        self.wait(self.world.mint(name, self.world.payers[payer], amount))
        self.balances[name, self.world.payers[payer]] += amount

    @rule(name=st.sampled_from(NAMES), payer=st.integers(0, 2), entries=_payments)
    def pay(self, name: str, payer: int, entries: list[tuple[int, Address, int]]) -> None:
        self._pay(name, payer, entries, FULL_GAS)

    @rule(name=st.sampled_from(NAMES), payer=st.integers(0, 2), entries=_payments, gas=st.integers(40_000, 900_000))
    def pay_with_little_gas(self, name: str, payer: int, entries: list[tuple[int, Address, int]], gas: int) -> None:
        self._pay(name, payer, entries, gas)

    def _pay(self, name: str, number: int, entries: list[tuple[int, Address, int]], gas: int) -> None:
        self.wait(self._learn(name))
        payer = self.world.payers[number]
        payments = [Payment(self.references[place], to, amount) for place, to, amount in entries]
        outcome = self.wait(self.world.pay(name, payer, payments, gas))
        if not outcome.succeeded:
            assert gas < FULL_GAS, "a batch with plenty of gas reverted"
            assert outcome.events == ()
        else:
            expected = [self._expect(name, payer, payment, outcome) for payment in payments]
            assert list(outcome.events) == expected, name
        self.wait(self._compare(name, payer))

    def _expect(self, name: str, payer: Address, payment: Payment, outcome: Outcome) -> Event:
        """Return the event that the payment must end in, and change the model as the payment does."""
        if block := self.marks.get((payer, payment.reference)):
            return AlreadyPaid(payer, payment.reference, block)
        if not self._may_move(name, payer, payment):
            return Failed(payer, payment.reference)
        self.marks[payer, payment.reference] = outcome.block
        if not (name == "MUSD" and self.allowances[name, payer] == 2**256 - 1):
            self.allowances[name, payer] -= payment.amount
        fee = payment.amount // 10 if name == "FeeToken" else 0
        self.balances[name, payer] -= payment.amount
        self.balances[name, payment.to] += payment.amount - fee
        self.balances[name, self.world.tokens[name]] += fee
        return Paid(payer, payment.reference, payment.to, self.world.tokens[name], payment.amount)

    def _may_move(self, name: str, payer: Address, payment: Payment) -> bool:
        if payment.to == (ZERO_ADDRESS if name == "MUSD" else BLOCKED) and name != "Reentrant":
            return False
        return payment.amount <= min(self.balances[name, payer], self.allowances[name, payer])

    async def _compare(self, name: str, payer: Address) -> None:
        """Compare every balance and allowance of the token, and every mark of the payer, with the model."""
        for (token, holder), amount in self.balances.items():
            if token == name:
                assert await self.world.balance(name, holder) == amount, (name, holder)
        for (token, owner), amount in self.allowances.items():
            if token == name:
                assert await self.world.allowance(name, owner) == amount, (name, owner)
        for reference in self.references:
            assert await self.world.paid(payer, reference) == self.marks.get((payer, reference), 0)


def test_whatever_happens_each_reference_is_paid_once_and_only_the_payers_coins_move(payonce: PayOnceChain) -> None:
    start = secrets.randbelow(2**32) if PROVE else 1

    class Here(Histories):
        world, loop = payonce, asyncio.new_event_loop()

    try:
        run_state_machine_as_test(
            seed(start)(Here),
            settings=settings(
                max_examples=HISTORIES,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        Here.loop.close()
