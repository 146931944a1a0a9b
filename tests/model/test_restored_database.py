"""A database older than bytes that wait in a node's memory: what goes wrong without protection, and that nothing does with it."""

import pytest

from tests.support.sender_model.configs import KNOWN_LIMITS, WITHIN_THE_LIMITS
from tests.support.sender_model.explorer import dead_ends, explore
from tests.support.sender_model.invariants import PAID_ONCE
from tests.support.sender_model.rules import ALL, UNPROTECTED, Config, Fault, Guard
from tests.support.sender_model.sentences import report

ONE_IN_FLIGHT = """\
Broken: each reference is paid at most once. The shortest history:
  1. A process becomes the leader.
  2. Payment A is owed, and stored in the database.
  3. The leader allocates nonce 0 to payment A.
  4. The leader signs and stores payment A at nonce 0.
  5. The leader broadcasts payment A at nonce 0.
  6. All processes stop, and a backup is restored. It knows no payment.
  7. A process becomes the leader.
  8. Payment B is owed, and stored in the database.
  9. The leader allocates nonce 0 to payment B.
 10. The leader signs and stores payment B at nonce 0.
 11. The leader broadcasts payment B at nonce 0.
 12. Payment A is owed, and stored in the database.
 13. A block includes payment A at nonce 0.
 14. The leader allocates nonce 1 to payment A.
 15. The leader signs and stores payment A at nonce 1.
 16. The leader broadcasts payment A at nonce 1.
 17. A block includes payment A at nonce 1."""

TWO_IN_FLIGHT = """\
Broken: each reference is paid at most once. The shortest history:
  1. A process becomes the leader.
  2. Payment A is owed, and stored in the database.
  3. Payment B is owed, and stored in the database.
  4. The leader allocates nonce 0 to 1 to payment A and payment B.
  5. The leader signs and stores payment A at nonce 0 and payment B at nonce 1.
  6. The leader broadcasts payment A at nonce 0 and payment B at nonce 1.
  7. All processes stop, and a backup is restored. It knows no payment.
  8. A process becomes the leader.
  9. Payment B is owed, and stored in the database.
 10. The leader allocates nonce 0 to payment B.
 11. The leader signs and stores payment B at nonce 0.
 12. The leader broadcasts payment B at nonce 0.
 13. A block includes payment B at nonce 0.
 14. A block includes payment B at nonce 1."""


@pytest.mark.parametrize(("depth", "expected"), [(1, ONE_IN_FLIGHT), (2, TWO_IN_FLIGHT)])
def test_without_protection_a_buyer_is_paid_twice_after_a_restore(depth: int, expected: str) -> None:
    (violation,) = explore(Config(UNPROTECTED, depth=depth, faults={Fault.RESTORE: 1})).violations
    assert report(violation.invariant, violation.history) == expected


@pytest.mark.parametrize("depth", [1, 2])
def test_nonces_that_are_spent_and_explained_first_protect_a_declared_restore(depth: int) -> None:
    guards = UNPROTECTED | {Guard.EMPTY_TRANSFERS, Guard.TAKERS_ARE_KNOWN}
    result = explore(Config(guards, depth=depth, faults={Fault.RESTORE: 1}))
    assert not result.violations
    assert not dead_ends(result)


def test_a_taken_nonce_alone_protects_one_transaction_in_flight_and_no_pipeline() -> None:
    guards = UNPROTECTED | {Guard.TAKERS_ARE_KNOWN}
    restores = {Fault.RESTORE: 1}
    assert not explore(Config(guards, depth=1, faults=restores)).violations
    assert explore(Config(guards, depth=2, faults=restores)).violations


@pytest.mark.parametrize("limit", KNOWN_LIMITS)
def test_the_limits_of_an_undeclared_failover_are_known(limit: str) -> None:
    (violation,) = explore(KNOWN_LIMITS[limit]).violations
    assert violation.invariant == PAID_ONCE


def test_an_undeclared_failover_is_safe_with_one_transaction_in_flight() -> None:
    assert WITHIN_THE_LIMITS.guards == ALL
    result = explore(WITHIN_THE_LIMITS)
    assert not result.violations
    assert not dead_ends(result)
