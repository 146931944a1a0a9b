"""When a message is tried again. Pure."""

import random as _random
from typing import Final

DELAYS: Final = (5, 30, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds after each failed attempt, the first of which is at once: 75.6 hours in all, so a receiver may be away for three days."""
JITTER: Final = 0.2
"""Each delay is up to this part longer, at random, so that the messages of an outage do not come back all at once; never shorter."""
MAX_RETRY_AFTER: Final = 86_400.0


def next_delay(tries: int, retry_after: float | None, random: _random.Random) -> float | None:
    """Return the seconds to wait after `tries` failed attempts; None if the schedule is exhausted.

    `retry_after` is what the receiver asked for. It makes the wait longer, never shorter, up to a day.
    """
    if tries > len(DELAYS):
        return None
    delay = DELAYS[tries - 1] * random.uniform(1.0, 1.0 + JITTER)
    return max(delay, min(retry_after or 0.0, MAX_RETRY_AFTER))
