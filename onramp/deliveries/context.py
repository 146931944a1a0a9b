"""The parts and settings that the modules share which watch for deliveries."""

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chain.pool.pool import Pool
from kit.clock import Clock
from kit.db.database import Database
from onramp.sessions.config import SessionConfig


class DeliveryMetrics:
    """Metrics: outcomes of deliveries, how long buyers wait, and how far reading lags behind."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.outcomes = Counter(
            "onramp_delivery_outcomes_total", "Deliveries by outcome.", ("outcome",), registry=registry
        )
        for outcome in ("confirmed", "mismatch", "reorged"):
            self.outcomes.labels(outcome)
        self.seconds = Histogram(
            "onramp_delivery_duration_seconds",
            "From paid to confirmed.",
            registry=registry,
            buckets=(1, 2, 4, 8, 15, 30, 60, 120, 300, 900, 3600),
        )
        self.unread = Gauge(
            "onramp_delivery_unread_blocks",
            "Blocks behind the agreed head of which not everything is known for certain.",
            registry=registry,
        )


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """The parts that the worker, the block reader, the matcher and the prover share."""

    database: Database
    pool: Pool
    config: SessionConfig
    senders: frozenset[str]
    """The addresses whose transfers count: the hot wallet, or in observe mode DELIVERY_SENDERS."""
    clock: Clock
    metrics: DeliveryMetrics
    changed: Callable[[], None]
    """A function that is called after sessions have changed; it wakes the event streams."""
