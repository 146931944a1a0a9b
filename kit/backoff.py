"""Exponential backoff with jitter."""

import random as _random


def backoff(attempt: int, *, base: float = 1.0, cap: float = 300.0, random: _random.Random | None = None) -> float:
    """Return the seconds to wait after the failed attempt number `attempt`, counted from 1.

    The upper limit is `base` seconds and doubles with each attempt, up to `cap`. The wait is random between half of it and all of it: at least
    half, so that a retry is not immediate; random, so that clients do not retry in step.
    """
    ceiling = min(cap, base * float(1 << min(max(attempt, 1) - 1, 32)))
    return ceiling * (random or _random).uniform(0.5, 1.0)
