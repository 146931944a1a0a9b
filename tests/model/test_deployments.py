"""Several hot wallets and two deployments on one Stripe account: a purchase is paid by one wallet at most, and each rule is needed."""

import pytest

from tests.support.sender_model.deployments import Rule, explore

ALL = frozenset(Rule)
NEEDED = {
    "no question to the contract": {Rule.PAID_IS_ASKED},
    "wallets that the backup does not know": {Rule.WALLETS_ARE_LEARNED},
    "a rotation before the nonces are spent": {Rule.RESTORE_FIRST},
    "no search and no question": {Rule.SEARCH, Rule.PAID_IS_ASKED},
    "no owner and no search": {Rule.OWNERSHIP, Rule.SEARCH},
}
"""Rules without which two wallets pay one purchase."""

ROTATED_TOO_EARLY = [
    "Purchase 0 is sold for wallet 0.",
    "Purchase 0 is paid at Stripe.",
    "The seller's database is backed up.",
    "Deployment 0 learns that purchase 0 is paid at Stripe.",
    "Deployment 0 signs the payment of purchase 0.",
    "The seller's backup is restored, and persons say so.",
    "Operators rotate to wallet 1.",
    "The restored wallet's nonces are spent.",
    "Deployment 0 learns that purchase 0 is paid at Stripe.",
    "Deployment 0 decides whether another wallet has paid purchase 0.",
    "Deployment 0 signs the payment of purchase 0.",
    "A block includes the payment of purchase 0 by wallet 1.",
    "A block includes the payment of purchase 0 by wallet 0.",
]


@pytest.mark.parametrize("purchases", [1, 2])
def test_no_purchase_is_paid_by_two_wallets_and_each_can_end(purchases: int) -> None:
    count, history = explore(purchases, ALL)
    assert not history
    assert count > 700


@pytest.mark.parametrize("name", NEEDED)
def test_without_these_rules_two_wallets_pay(name: str) -> None:
    _, history = explore(1, ALL - NEEDED[name])
    assert history[-1].startswith("A block includes the payment of purchase 0")


@pytest.mark.parametrize("rule", [Rule.OWNERSHIP, Rule.SEARCH])
def test_each_of_these_rules_suffices_beside_the_others(rule: Rule) -> None:
    _, history = explore(1, ALL - {rule})
    assert not history


def test_a_wallet_that_is_rotated_before_the_nonces_are_spent_lets_old_bytes_pay() -> None:
    _, history = explore(1, ALL - {Rule.RESTORE_FIRST})
    assert history == ROTATED_TOO_EARLY
