"""Metrics of the nodes, labelled by node name and never by URL."""

from collections.abc import Collection, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chain.node.budget import CREDITS, OTHERS

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class ChainMetrics(Protocol):
    """Receives what the pool and its nodes report, to record it as metrics."""

    def request(self, node: str, method: str, outcome: str, seconds: float) -> None:
        """Record a finished call and its duration in seconds; `outcome` is `ok`, `cancelled` or the kind of the error."""

    def health(self, node: str, *, up: bool) -> None:
        """Record whether the node may be used."""

    def head(self, node: str, number: int, lag: int) -> None:
        """Record the node's newest block, and how many blocks it is behind the best node."""

    def disagreement(self, node: str, method: str) -> None:
        """Record that the node contradicted the others."""

    def quarantine(self, node: str, *, active: bool) -> None:
        """Record that the node's quarantine begins (`active`) or ends."""

    def budget(self, node: str, used: int, left: int | None) -> None:
        """Record the credits that the node used this month, and those left; None if there is no limit."""

    def halted(self, *, halted: bool) -> None:
        """Record whether the chain is halted or refuses user transactions."""

    def retain(self, nodes: Collection[str]) -> None:
        """Drop the gauges of nodes that are not in `nodes`."""


class NullMetrics:
    """Implements ChainMetrics and records nothing."""

    def request(self, node: str, method: str, outcome: str, seconds: float) -> None: ...

    def health(self, node: str, *, up: bool) -> None: ...

    def head(self, node: str, number: int, lag: int) -> None: ...

    def disagreement(self, node: str, method: str) -> None: ...

    def quarantine(self, node: str, *, active: bool) -> None: ...

    def budget(self, node: str, used: int, left: int | None) -> None: ...

    def halted(self, *, halted: bool) -> None: ...

    def retain(self, nodes: Collection[str]) -> None: ...


class PrometheusMetrics:
    """Records what the nodes report in a Prometheus registry. Only our own code chooses methods, so the number of label values is bounded."""

    def __init__(self, registry: CollectorRegistry, credits_by_method: Mapping[str, int] = CREDITS) -> None:
        self._credits_by_method = credits_by_method
        node = ("node",)
        self._requests = Counter(
            "chain_rpc_requests_total", "Calls to nodes.", (*node, "method", "outcome"), registry=registry
        )
        self._errors = Counter(
            "chain_rpc_errors_total", "Calls that ended in an error.", (*node, "kind"), registry=registry
        )
        self._seconds = Histogram(
            "chain_rpc_duration_seconds", "Time of a call.", (*node, "method"), buckets=_BUCKETS, registry=registry
        )
        self._credits = Counter("chain_rpc_credits_total", "Estimated credits spent.", node, registry=registry)
        self._up = Gauge("chain_node_up", "1 while the node may be used.", node, registry=registry)
        self._head = Gauge("chain_node_head_block", "Newest block of the node.", node, registry=registry)
        self._lag = Gauge("chain_node_lag_blocks", "Blocks behind the best node.", node, registry=registry)
        self._dissent = Counter(
            "chain_node_dissents_total",
            "Answers that contradicted the agreed answer.",
            (*node, "method"),
            registry=registry,
        )
        self._used = Gauge("chain_node_credits_used", "Estimated credits of this month.", node, registry=registry)
        self._left = Gauge("chain_node_credits_left", "Credits left of this month's limit.", node, registry=registry)
        self._paused = Gauge(
            "chain_paused", "1 while the chain produces no blocks or refuses transactions.", registry=registry
        )
        self._aside = Gauge("chain_node_set_aside", "1 while the node's vote does not count.", node, registry=registry)

    def request(self, node: str, method: str, outcome: str, seconds: float) -> None:
        self._requests.labels(node, method, outcome).inc()
        self._seconds.labels(node, method).observe(seconds)
        # At 0 before the first dissent: `increase` does not see the step from no series to 1.
        self._dissent.labels(node, method)
        self._credits.labels(node).inc(self._credits_by_method.get(method, self._credits_by_method[OTHERS]))
        if outcome != "ok":
            self._errors.labels(node, outcome).inc()

    def health(self, node: str, *, up: bool) -> None:
        self._up.labels(node).set(up)
        # Shown from the start: an alert on a value that was never reached must find 0.
        self._aside.labels(node)

    def head(self, node: str, number: int, lag: int) -> None:
        self._head.labels(node).set(number)
        self._lag.labels(node).set(lag)

    def disagreement(self, node: str, method: str) -> None:
        self._dissent.labels(node, method).inc()

    def quarantine(self, node: str, *, active: bool) -> None:
        self._aside.labels(node).set(active)

    def budget(self, node: str, used: int, left: int | None) -> None:
        self._used.labels(node).set(used)
        if left is not None:
            self._left.labels(node).set(left)

    def halted(self, *, halted: bool) -> None:
        self._paused.set(halted)

    def retain(self, nodes: Collection[str]) -> None:
        for gauge in (self._up, self._head, self._lag, self._used, self._left, self._aside):
            for name in {sample.labels["node"] for family in gauge.collect() for sample in family.samples}:
                if name not in nodes:
                    gauge.remove(name)
