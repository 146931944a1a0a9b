"""Exponential backoff with jitter."""

import random

import pytest

from kit.backoff import backoff


@pytest.mark.parametrize("attempt", [1, 2, 3, 6, 40, 10_000])
def test_the_wait_is_between_half_and_all_of_a_ceiling_that_doubles(attempt: int) -> None:
    ceiling = min(300.0, 2.0 ** min(attempt - 1, 32))
    for seed in range(50):
        assert ceiling / 2 <= backoff(attempt, random=random.Random(seed)) <= ceiling


@pytest.mark.parametrize("attempt", [0, -3])
def test_an_attempt_below_one_waits_like_the_first(attempt: int) -> None:
    assert 0.5 <= backoff(attempt) <= 1.0


def test_base_and_cap_are_configurable_and_waits_differ() -> None:
    waits = {backoff(9, base=0.5, cap=30.0) for _ in range(20)}
    assert all(15.0 <= wait <= 30.0 for wait in waits) and len(waits) > 1
