"""Payments through PayOnce: every state within the bounds, and what the contract makes impossible that no rule of transfers can."""

from dataclasses import replace
from functools import cache

import pytest

from tests.support.sender_model.configs import BATCHES, KNOWN_LIMITS, REDUNDANT_WITH_PAYONCE
from tests.support.sender_model.explorer import Result, dead_ends, explore
from tests.support.sender_model.invariants import PAID_ONCE
from tests.support.sender_model.rules import UNPROTECTED, Config, Fault, Guard
from tests.support.sender_model.sentences import report, sentence

pytestmark = pytest.mark.starts_first

TWICE_BY_TRANSFER = {
    **KNOWN_LIMITS,
    "nothing protects a failover": Config(UNPROTECTED, depth=2, faults={Fault.FAILOVER: 1}),
    "nothing protects a restore": Config(UNPROTECTED, depth=2, faults={Fault.RESTORE: 1}),
}


@cache
def explored(name: str) -> Result:
    """Explore a configuration once for all tests."""
    return explore(BATCHES[name])


@pytest.mark.parametrize("name", BATCHES)
def test_the_invariants_hold_in_every_state(name: str) -> None:
    result = explored(name)
    for violation in (result.violations or dead_ends(result))[:1]:
        pytest.fail(report(violation.invariant, violation.history))


@pytest.mark.parametrize("name", BATCHES)
def test_each_step_that_was_taken_has_a_sentence(name: str) -> None:
    assert all(sentence(label).endswith(".") for _, label in explored(name).parents[1:])


@pytest.mark.parametrize("name", TWICE_BY_TRANSFER)
def test_what_pays_twice_by_transfers_cannot_happen_through_payonce(name: str) -> None:
    config = TWICE_BY_TRANSFER[name]
    (violation,) = explore(config).violations
    assert violation.invariant == PAID_ONCE
    result = explore(replace(config, guards=UNPROTECTED, batch=2))
    assert not result.violations
    assert not dead_ends(result)


@pytest.mark.parametrize("guard", sorted(REDUNDANT_WITH_PAYONCE))
def test_a_guard_that_only_saves_gas(guard: Guard) -> None:
    names = "a declared restore, depth 1", "a reorganisation after a failure", "a reorganisation after a refusal"
    for name in names:
        result = explore(BATCHES[name].without(guard))
        assert not result.violations
        assert not dead_ends(result)
