"""What a hosted node lets us ask: so many requests a second, so many credits a month.

When the month's credits run low the node is kept for what money depends on, and hints are asked of others.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from kit.clock import Clock

OTHERS: Final = "*"
"""Stands for every method that has no weight of its own."""
CREDITS: Final[Mapping[str, int]] = {
    "eth_chainId": 1,
    "eth_blockNumber": 1,
    "eth_getLogs": 5,
    "eth_call": 2,
    "eth_estimateGas": 5,
    "eth_sendRawTransaction": 5,
    OTHERS: 2,
}
"""Credits of a call. No provider publishes weights for Mezo's methods, so these are estimates; SPECTRUM_CREDIT_WEIGHTS sets others."""
RESERVED_PERCENT: Final = 10
"""Of a month's credits, kept for agreement, broadcast and proof."""
_DUST: Final = 1e-6
_WEIGHT: Final = re.compile(r"(?:[a-z]+_[A-Za-z0-9]+|\*)=\d{1,6}")


@dataclass(frozen=True, slots=True)
class Plan:
    """What was bought; 0 is no limit."""

    per_second: int = 0
    monthly_credits: int = 0
    weights: Mapping[str, int] = field(default_factory=lambda: CREDITS)
    """Credits of a call by its method, `OTHERS` among them."""


def parse_weights(text: str) -> Mapping[str, int]:
    """`eth_getLogs=10,*=1`: what differs from the estimates. Raises ValueError."""
    weights = dict(CREDITS)
    for entry in filter(None, (part.strip() for part in text.split(","))):
        method, _, weight = entry.partition("=")
        if not _WEIGHT.fullmatch(entry):
            message = f"{entry!r} is no weight of a method, such as eth_getLogs=10; * stands for all methods that are not named"
            raise ValueError(message)
        weights[method] = int(weight)
    return weights


UNLIMITED: Final = Plan()


class Budget:
    """A token bucket and a month's count, for one node. The count is shared by processes through `chain.node.credits`."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        """A full bucket; nothing spent as far as is known."""
        self.plan = plan
        self._clock = clock
        self._tokens = float(plan.per_second)
        self._at = clock.monotonic()
        self._month = _month_of(clock.now())
        self._known = 0
        self._unsaved = 0

    @property
    def used(self) -> int:
        """Credits of this month, as far as is known here."""
        self._turn()
        return self._known + self._unsaved

    @property
    def left(self) -> int | None:
        """Credits left this month; None where there is no limit."""
        return max(0, self.plan.monthly_credits - self.used) if self.plan.monthly_credits else None

    def allows(self, *, vital: bool) -> bool:
        """Whether credits are left for this kind of call."""
        limit = self.plan.monthly_credits
        return not limit or limit - self.used > (0 if vital else limit * RESERVED_PERCENT // 100)

    def wait(self, questions: int = 1) -> float:
        """Seconds until the bucket holds a token for each of so many, which must not be more than it can hold."""
        if not self.plan.per_second:
            return 0.0
        now = self._clock.monotonic()
        self._tokens = min(float(self.plan.per_second), self._tokens + (now - self._at) * self.plan.per_second)
        self._at = now
        missing = questions - self._tokens
        # Less than that is what floating point loses, and would be waited for for ever.
        return missing / self.plan.per_second if missing > _DUST else 0.0

    def spend(self, method: str) -> None:
        """Count one request, whatever comes of it: it is billed all the same."""
        self._turn()
        self._unsaved += self.plan.weights.get(method, self.plan.weights[OTHERS])
        if self.plan.per_second:
            self._tokens -= 1

    @property
    def unsaved(self) -> tuple[str, int]:
        """The month, and what was spent in it that the database does not know of."""
        self._turn()
        return _named(self._month), self._unsaved

    def saved(self, month: str, spent: int, used: int) -> None:
        """The database knows of so much that was unsaved, and of so much in all that all processes together have used."""
        self._turn()
        if month == _named(self._month):
            self._known, self._unsaved = used, self._unsaved - spent

    def _turn(self) -> None:
        month = _month_of(self._clock.now())
        if month != self._month:
            self._month, self._known, self._unsaved = month, 0, 0


def _month_of(moment: datetime) -> tuple[int, int]:
    """Year and month, UTC: what credits are counted by. Not yet text, because every call asks."""
    return moment.year, moment.month


def _named(month: tuple[int, int]) -> str:
    """`2026-11`, as the database has it."""
    return "{:04d}-{:02d}".format(*month)
