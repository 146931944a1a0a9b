"""Waiting longer each time, never in step with others."""

import random as _random


def backoff(attempt: int, *, base: float = 1.0, cap: float = 300.0, random: _random.Random | None = None) -> float:
    """Seconds to wait after the failed try number `attempt` (from 1): between half and all of a ceiling that doubles up to `cap`.

    Never less than half, so that a retry is not immediate; drawn by chance, so that clients do not retry in step.
    """
    ceiling = min(cap, base * float(1 << min(max(attempt, 1) - 1, 32)))
    draw = (random or _random).uniform(0.5, 1.0)
    return ceiling * draw
