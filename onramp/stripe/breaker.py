"""A circuit breaker: while Stripe is down, say so at once instead of letting every buyer wait for it."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kit.clock import Clock
from onramp.stripe.errors import StripeUnavailable

FAILURES: Final = 5
OPEN_SECONDS: Final = 10.0


class StripeMetrics:
    """Calls to Stripe by outcome, and whether the circuit is open."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare the families."""
        self.calls = Counter(
            "onramp_stripe_calls_total", "Calls to Stripe, retries included.", ("call", "outcome"), registry=registry
        )
        self.seconds = Histogram(
            "onramp_stripe_call_duration_seconds", "Time of a call, retries included.", ("call",), registry=registry
        )
        self.open = Gauge("onramp_stripe_circuit_open", "1 while calls are refused without asking.", registry=registry)


class Breaker:
    """Opens after five failures in a row; after ten seconds one call may try."""

    def __init__(self, clock: Clock, metrics: StripeMetrics) -> None:
        """Closed at first."""
        self._clock = clock
        self._metrics = metrics
        self._failures = 0
        self._open_until: float | None = None
        self._trying = False

    def enter(self) -> None:
        """Raise StripeUnavailable while the circuit is open."""
        if self._open_until is None:
            return
        remaining = self._open_until - self._clock.monotonic()
        if remaining > 0 or self._trying:
            raise StripeUnavailable(retry_after=max(1, int(remaining) + 1), cause="circuit open")
        self._trying = True

    def succeeded(self) -> None:
        """Stripe answered, whatever it said."""
        self._failures, self._open_until, self._trying = 0, None, False
        self._metrics.open.set(0)

    def failed(self) -> None:
        """Stripe did not answer, or answered that it is unwell."""
        self._failures += 1
        self._trying = False
        if self._failures >= FAILURES:
            self._open_until = self._clock.monotonic() + OPEN_SECONDS
            self._metrics.open.set(1)

    def abandoned(self) -> None:
        """It ended in any other way, such as a caller who went away before Stripe answered: nothing was learned."""
        self._trying = False
