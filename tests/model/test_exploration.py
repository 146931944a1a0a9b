"""Every state of the model within its bounds: the invariants hold, every payment can still be made, every transition is visited."""

from functools import cache

import pytest

from tests.support.sender_model.configs import BATCHES, EXHAUSTIVE, LARGE
from tests.support.sender_model.explorer import Result, dead_ends, explore
from tests.support.sender_model.rules import Fault, Feature
from tests.support.sender_model.sentences import report, sentence
from tests.support.sender_model.tables import TABLES, all_edges
from treasury.core.facts import OperationFact
from treasury.core.status import Status
from treasury.transactions.states import TransactionFact

NOT_STORED = "`mined` is never stored: it is recorded in the transaction that records `final`"
ONCE = "a row is recorded as broadcast once; a repeated broadcast is only counted"
PROVED_ONCE = "a final row is not proved again"
UNREACHABLE = {
    OperationFact.MINED: {Status.MINED: NOT_STORED},
    OperationFact.REORGED: {Status.MINED: NOT_STORED},
    OperationFact.REVERTED: {Status.MINED: NOT_STORED},
    OperationFact.BROADCAST: {Status.BROADCAST: ONCE},
    OperationFact.PROVEN: {Status.FINAL: PROVED_ONCE},
}
"""By fact and status: why no history leads there. The rows stay in the tables, because a row of an earlier version may be there."""
UNREACHABLE_TRANSACTIONS = {
    TransactionFact.MINED: {Status.MINED: NOT_STORED},
    TransactionFact.REORGED: {Status.MINED: NOT_STORED},
    TransactionFact.REVERTED: {Status.MINED: NOT_STORED},
    TransactionFact.DISPLACED: {Status.MINED: NOT_STORED},
    TransactionFact.BROADCAST: {Status.BROADCAST: ONCE},
    TransactionFact.PROVEN: {Status.FINAL: PROVED_ONCE},
}
NEVER_NEEDED = {"detach", "spend"}
"""Steps of the sender for which no history has a reason: rows without bytes are always those with the highest nonces."""


@cache
def explored(name: str) -> Result:
    """Explore a configuration once for all tests."""
    return explore(EXHAUSTIVE[name])


@pytest.mark.parametrize("name", EXHAUSTIVE)
def test_the_invariants_hold_in_every_state(name: str) -> None:
    result = explored(name)
    assert not result.violations, report(result.violations[0].invariant, result.violations[0].history)


@pytest.mark.parametrize("name", EXHAUSTIVE)
def test_every_owed_payment_can_still_be_made(name: str) -> None:
    for violation in dead_ends(explored(name))[:1]:
        pytest.fail(report(violation.invariant, violation.history))


@pytest.mark.parametrize("table", TABLES)
def test_every_transition_is_visited_or_known_to_be_unreachable(table: str) -> None:
    kinds = {"transaction": UNREACHABLE_TRANSACTIONS}.get(table, UNREACHABLE)
    unreachable = {(table, str(fact), state) for fact, states in kinds.items() for state in states}
    taken = set().union(*(explored(name).engine.tables.taken for name in EXHAUSTIVE))
    assert all_edges(table) - taken == unreachable


def test_every_fault_and_feature_is_part_of_an_exhaustive_configuration() -> None:
    configs = [*EXHAUSTIVE.values(), *BATCHES.values()]
    assert {fault for config in configs for fault in config.faults} == set(Fault)
    assert {feature for config in configs for feature in config.features} == set(Feature)


def test_each_step_that_was_taken_has_a_sentence() -> None:
    for name in EXHAUSTIVE:
        result = explored(name)
        assert all(sentence(label).endswith(".") for _, label in result.parents[1:])
        assert not result.names & NEVER_NEEDED


@pytest.mark.prove
@pytest.mark.parametrize("name", LARGE)
def test_the_invariants_hold_within_larger_bounds(name: str) -> None:
    result = explore(LARGE[name], limit=1_000_000)
    for violation in (result.violations or dead_ends(result))[:1]:
        pytest.fail(report(violation.invariant, violation.history))
