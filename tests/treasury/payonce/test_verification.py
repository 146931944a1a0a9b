"""Whether PayOnce may move enough of the hot wallet's MUSD."""

import re

import pytest

from tests.support.hot_wallet import MUSD, WALLET
from treasury.payonce.verification import allowance_problem
from treasury.policy.model import UNLIMITED


@pytest.mark.parametrize(
    ("allowance", "owed", "largest", "says"),
    [
        (0, 0, 1, "has not approved PayOnce"),
        (0, 5 * MUSD, 100 * MUSD, "has not approved PayOnce"),
        (4 * MUSD, 5 * MUSD, 2 * MUSD, "may move 4.00 MUSD of .*, and payouts of 5.00 MUSD are owed"),
        (4 * MUSD, 4 * MUSD, 10 * MUSD, "may move 4.00 MUSD of .*, less than one purchase of 10.00 MUSD"),
    ],
)
def test_too_little_is_a_sentence_with_the_next_command(allowance: int, owed: int, largest: int, says: str) -> None:
    problem = allowance_problem(WALLET, allowance, owed, largest)
    assert problem is not None
    assert WALLET in problem and problem.endswith("`onramp contract approve`")
    assert re.search(says, problem)


@pytest.mark.parametrize(
    ("allowance", "owed", "largest"), [(5, 5, 5), (10, 5, 5), (UNLIMITED, 10**30, 10**22), (0, 0, 0)]
)
def test_enough_is_no_problem(allowance: int, owed: int, largest: int) -> None:
    assert allowance_problem(WALLET, allowance, owed, largest) is None
