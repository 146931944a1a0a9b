"""Several hot wallets and two deployments on one Stripe account: a purchase is paid by one wallet at most, and each rule is needed."""

import pytest

from tests.support.sender_model.deployment_explorer import explore
from tests.support.sender_model.deployments import Rule

ALL = frozenset(Rule)
NEEDED = {
    "no question to the contract": {Rule.PAID_IS_ASKED},
    "wallets that the backup does not know": {Rule.WALLETS_ARE_LEARNED},
    "a wallet whose nonces are not spent counts as known": {Rule.UNSPENT_IS_UNKNOWN},
    "a restore of the configured wallet alone": {Rule.ALL_ARE_DECLARED},
    "no search of what another wallet has paid": {Rule.SEARCH},
}
"""Rules without which two wallets pay one purchase."""

BEFORE = [
    "Purchase 0 is sold for wallet 0.",
    "Purchase 0 is paid at Stripe.",
    "The seller's database is backed up.",
    "Deployment 0 learns that purchase 0 is paid at Stripe.",
    "Deployment 0 signs the payment of purchase 0.",
]
AFTER = [
    "Deployment 0 learns that purchase 0 is paid at Stripe.",
    "Deployment 0 decides whether another wallet has paid purchase 0.",
    "Deployment 0 signs the payment of purchase 0.",
    "A block includes the payment of purchase 0 by wallet 1.",
    "A block includes the payment of purchase 0 by wallet 0.",
]
WITHOUT = {
    Rule.UNSPENT_IS_UNKNOWN: [
        "The seller's backup is restored with wallet 0 configured, and persons say so.",
        "Operators rotate to wallet 1.",
    ],
    Rule.ALL_ARE_DECLARED: [
        "The seller's backup is restored with wallet 1 configured, and persons say so.",
        "The nonces of wallet 1 are spent.",
    ],
}
"""What happens between signature and second payment, if one of these rules is missing."""


@pytest.mark.parametrize("purchases", [1, 2])
def test_no_purchase_is_paid_by_two_wallets_and_each_can_end(purchases: int) -> None:
    count, history = explore(purchases, ALL)
    assert not history
    assert count > 1_000


@pytest.mark.parametrize("name", NEEDED)
def test_without_these_rules_two_wallets_pay(name: str) -> None:
    _, history = explore(1, ALL - NEEDED[name])
    assert history[-1].startswith("A block includes the payment of purchase 0")


def test_the_owner_only_keeps_other_deployments_from_searching() -> None:
    _, history = explore(1, ALL - {Rule.OWNERSHIP})
    assert not history


@pytest.mark.parametrize("rule", WITHOUT)
def test_what_a_wallet_signed_before_a_restore_pays_beside_the_wallet_after_it(rule: Rule) -> None:
    _, history = explore(1, ALL - {rule})
    assert history == [*BEFORE, *WITHOUT[rule], *AFTER]
