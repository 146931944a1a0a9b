"""Waiting longer each time, never in step with others."""

import random as _random


def backoff(attempt: int, *, base: float = 1.0, cap: float = 300.0, random: _random.Random | None = None) -> float:
    """Seconds before try `attempt` (from 1): full jitter over an exponential ceiling.

    Jitter draws between half and all of the ceiling, so that a retry is never immediate.
    """
    ceiling = min(cap, base * float(1 << min(max(attempt, 1) - 1, 32)))
    draw = (random or _random).uniform(0.5, 1.0)
    return ceiling * draw
