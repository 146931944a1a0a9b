"""The limits of a hosted node: requests per second and credits per month.

When the month's credits run low, the node is reserved for calls that money depends on; other nodes answer the rest.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from kit.clock import Clock

OTHERS: Final = "*"
"""The key of the weight that applies to every method without a weight of its own."""
CREDITS: Final[Mapping[str, int]] = {
    "eth_chainId": 1,
    "eth_blockNumber": 1,
    "eth_getLogs": 5,
    "eth_call": 2,
    "eth_estimateGas": 5,
    "eth_sendRawTransaction": 5,
    OTHERS: 2,
}
"""Credits of one call. No provider publishes weights for Mezo's methods, so these are estimates; SPECTRUM_CREDIT_WEIGHTS replaces them."""
RESERVED_PERCENT: Final = 10
"""Percentage of a month's credits that is reserved for quorum reads, broadcasts and verification."""
_DUST: Final = 1e-6
_WEIGHT: Final = re.compile(r"(?:[a-z]+_[A-Za-z0-9]+|\*)=\d{1,6}")


@dataclass(frozen=True, slots=True)
class Plan:
    """The limits of a hosted node: requests per second and credits per month; 0 means no limit."""

    per_second: int = 0
    monthly_credits: int = 0
    weights: Mapping[str, int] = field(default_factory=lambda: CREDITS)
    """The credits of one call by method; `OTHERS` stands for all methods not listed."""


def parse_weights(text: str) -> Mapping[str, int]:
    """Parse weights such as `eth_getLogs=10,*=1`, which replace the estimates. Raises ValueError for an entry of another form."""
    weights = dict(CREDITS)
    for entry in filter(None, (part.strip() for part in text.split(","))):
        method, _, weight = entry.partition("=")
        if not _WEIGHT.fullmatch(entry):
            raise ValueError(
                f"{entry!r} is not a weight of a method, such as eth_getLogs=10; * stands for all methods that are not named"
            )
        weights[method] = int(weight)
    return weights


UNLIMITED: Final = Plan()


class Budget:
    """A token bucket and a monthly count for one node. Processes share the count through `chain.node.credits`."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        """Start with a full bucket and no credits spent."""
        self.plan = plan
        self._clock = clock
        self._tokens = float(plan.per_second)
        self._at = clock.monotonic()
        self._month = _month_of(clock.now())
        self._known = 0
        self._unsaved = 0

    @property
    def used(self) -> int:
        """The credits used this month, as far as this process knows."""
        self._turn()
        return self._known + self._unsaved

    @property
    def left(self) -> int | None:
        """The credits left this month; None if there is no limit."""
        return max(0, self.plan.monthly_credits - self.used) if self.plan.monthly_credits else None

    def allows(self, *, vital: bool) -> bool:
        """Return whether credits are left. Only `vital` calls may use the reserved share."""
        limit = self.plan.monthly_credits
        return not limit or limit - self.used > (0 if vital else limit * RESERVED_PERCENT // 100)

    def wait(self, questions: int = 1) -> float:
        """Return the seconds until the plan allows `questions` requests, which must not be more than it allows in a second."""
        if not self.plan.per_second:
            return 0.0
        now = self._clock.monotonic()
        self._tokens = min(float(self.plan.per_second), self._tokens + (now - self._at) * self.plan.per_second)
        self._at = now
        missing = questions - self._tokens
        # Floating-point rounding leaves smaller remainders, which would otherwise be waited for for ever.
        return missing / self.plan.per_second if missing > _DUST else 0.0

    def spend(self, method: str) -> None:
        """Count one request of `method`. Failed requests count too, because they are billed."""
        self._turn()
        self._unsaved += self.plan.weights.get(method, self.plan.weights[OTHERS])
        if self.plan.per_second:
            self._tokens -= 1

    @property
    def unsaved(self) -> tuple[str, int]:
        """The month, and the credits spent in it that are not yet in the database."""
        self._turn()
        return _named(self._month), self._unsaved

    def saved(self, month: str, spent: int, used: int) -> None:
        """Record that `spent` credits are now in the database, and that all processes together have used `used` credits in `month`."""
        self._turn()
        if month == _named(self._month):
            self._known, self._unsaved = used, self._unsaved - spent

    def _turn(self) -> None:
        month = _month_of(self._clock.now())
        if month != self._month:
            self._month, self._known, self._unsaved = month, 0, 0


def _month_of(moment: datetime) -> tuple[int, int]:
    """Return (year, month) of a time in UTC. Every call needs it, and a tuple is cheaper to make than text."""
    return moment.year, moment.month


def _named(month: tuple[int, int]) -> str:
    """Return the month as the database stores it: `2026-11`."""
    return "{:04d}-{:02d}".format(*month)
