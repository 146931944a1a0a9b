"""A circuit breaker: while Stripe is down, calls fail at once instead of making every buyer wait for a timeout."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kit.clock import Clock
from onramp.stripe.errors import StripeUnavailable

CALLS: Final = ("create", "get", "list", "quotes", "ping")
"""The calls to Stripe, as metrics call them."""
OUTCOMES: Final = ("ok", "unavailable", "refused", "not_found")
"""The outcomes of a call, as metrics call them."""
FAILURES: Final = 5
OPEN_SECONDS: Final = 10.0


class StripeMetrics:
    """The metrics of calls to Stripe: outcome and duration, and whether the circuit is open."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "onramp_stripe_calls_total", "Calls to Stripe, retries included.", ("call", "outcome"), registry=registry
        )
        self.seconds = Histogram(
            "onramp_stripe_call_duration_seconds", "Time of a call, retries included.", ("call",), registry=registry
        )
        for call in CALLS:
            self.seconds.labels(call)
            for outcome in OUTCOMES:
                self.calls.labels(call, outcome)
        self.rate_limited = Counter(
            "onramp_stripe_rate_limited_total",
            "Calls that Stripe answered with 429, retries included; sum over processes.",
            registry=registry,
        )
        self.open = Gauge("onramp_stripe_circuit_open", "1 while calls are refused without asking.", registry=registry)


class Breaker:
    """Opens after FAILURES failures in a row; after OPEN_SECONDS one call is let through to probe."""

    def __init__(self, clock: Clock, metrics: StripeMetrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._failures = 0
        self._open_until: float | None = None
        self._is_probing = False

    def enter(self) -> None:
        """Raise StripeUnavailable while the circuit is open, except for the one call that probes."""
        if self._open_until is None:
            return
        remaining = self._open_until - self._clock.monotonic()
        if remaining > 0 or self._is_probing:
            raise StripeUnavailable(retry_after=max(1, int(remaining) + 1), cause="circuit open")
        self._is_probing = True

    def succeeded(self) -> None:
        """Record that Stripe answered, whatever the answer, and close the circuit."""
        self._failures, self._open_until, self._is_probing = 0, None, False
        self._metrics.open.set(0)

    def failed(self) -> None:
        """Record that Stripe did not answer, or reported an error of its own."""
        self._failures += 1
        self._is_probing = False
        if self._failures >= FAILURES:
            self._open_until = self._clock.monotonic() + OPEN_SECONDS
            self._metrics.open.set(1)

    def abandoned(self) -> None:
        """Record that a call ended without a result, for example because its caller was cancelled: it counts neither as success nor as failure."""
        self._is_probing = False
