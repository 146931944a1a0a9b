"""Mutants of the sender: without a guard an invariant falls, so the guard is needed and the model can see it."""

import pytest

from tests.support.sender_model.configs import MUTANTS, PROCESSES, REDUNDANT, RESTORES
from tests.support.sender_model.explorer import dead_ends, explore
from tests.support.sender_model.rules import Guard


@pytest.mark.parametrize("name", MUTANTS)
def test_without_its_guards_an_invariant_falls(name: str) -> None:
    mutant = MUTANTS[name]
    result = explore(mutant.explored())
    violations = result.violations or dead_ends(result)
    assert violations[0].invariant == mutant.invariant


@pytest.mark.parametrize("guard", REDUNDANT)
def test_another_guard_does_the_same_work(guard: Guard) -> None:
    for config in (RESTORES["a declared restore, depth 1"], PROCESSES["two leaders, depth 2"]):
        result = explore(config.without(guard))
        assert not result.violations
        assert not dead_ends(result)


def test_every_guard_is_removed_by_a_mutant() -> None:
    removed = {guard for mutant in MUTANTS.values() for guard in mutant.guards}
    assert removed == set(Guard) - {Guard.PAID_IS_ASKED}
