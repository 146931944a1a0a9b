"""What the nodes cost and how they do, by node name (never by URL)."""

from collections.abc import Collection, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chain.node.budget import CREDITS, OTHERS

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class ChainMetrics(Protocol):
    """Where the pool reports what happens."""

    def request(self, node: str, method: str, outcome: str, seconds: float) -> None:
        """One call ended; `outcome` is `ok` or an error's kind."""

    def health(self, node: str, *, up: bool) -> None:
        """The node may be used, or not."""

    def head(self, node: str, number: int, lag: int) -> None:
        """The newest block of the node, and how many blocks it is behind the best."""

    def disagreement(self, node: str, method: str) -> None:
        """The node said otherwise than the others."""

    def quarantine(self, node: str, *, active: bool) -> None:
        """The node's word stops counting, or counts again."""

    def budget(self, node: str, used: int, left: int | None) -> None:
        """Credits of this month, and what is left where there is a limit."""

    def halted(self, *, halted: bool) -> None:
        """The chain itself stands still, or moves."""

    def retain(self, nodes: Collection[str]) -> None:
        """These are all nodes there are: how another stood when it was taken from the list is told no more."""


class NullMetrics:
    """Reports nowhere."""

    def request(self, node: str, method: str, outcome: str, seconds: float) -> None:
        """Nothing."""

    def health(self, node: str, *, up: bool) -> None:
        """Nothing."""

    def head(self, node: str, number: int, lag: int) -> None:
        """Nothing."""

    def disagreement(self, node: str, method: str) -> None:
        """Nothing."""

    def quarantine(self, node: str, *, active: bool) -> None:
        """Nothing."""

    def budget(self, node: str, used: int, left: int | None) -> None:
        """Nothing."""

    def halted(self, *, halted: bool) -> None:
        """Nothing."""

    def retain(self, nodes: Collection[str]) -> None:
        """Nothing."""


class PrometheusMetrics:
    """Reports to a Prometheus registry. Methods are ours alone, so that label values do not grow with use."""

    def __init__(self, registry: CollectorRegistry, credits_by_method: Mapping[str, int] = CREDITS) -> None:
        """Declare the families."""
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
            "chain_node_dissents_total", "Answers that the others contradicted.", (*node, "method"), registry=registry
        )
        self._used = Gauge("chain_node_credits_used", "Estimated credits of this month.", node, registry=registry)
        self._left = Gauge("chain_node_credits_left", "Credits left this month, of a limit.", node, registry=registry)
        self._paused = Gauge(
            "chain_paused", "1 while the chain makes no blocks or refuses transactions.", registry=registry
        )
        self._aside = Gauge("chain_node_set_aside", "1 while the node's word does not count.", node, registry=registry)

    def request(self, node: str, method: str, outcome: str, seconds: float) -> None:
        """One call ended."""
        self._requests.labels(node, method, outcome).inc()
        self._seconds.labels(node, method).observe(seconds)
        self._credits.labels(node).inc(self._credits_by_method.get(method, self._credits_by_method[OTHERS]))
        if outcome != "ok":
            self._errors.labels(node, outcome).inc()

    def health(self, node: str, *, up: bool) -> None:
        """The node may be used, or not."""
        self._up.labels(node).set(up)

    def head(self, node: str, number: int, lag: int) -> None:
        """The newest block of the node."""
        self._head.labels(node).set(number)
        self._lag.labels(node).set(lag)

    def disagreement(self, node: str, method: str) -> None:
        """The node said otherwise."""
        self._dissent.labels(node, method).inc()

    def quarantine(self, node: str, *, active: bool) -> None:
        """The node's word stops counting, or counts again."""
        self._aside.labels(node).set(active)

    def budget(self, node: str, used: int, left: int | None) -> None:
        """Credits of this month."""
        self._used.labels(node).set(used)
        if left is not None:
            self._left.labels(node).set(left)

    def halted(self, *, halted: bool) -> None:
        """The chain itself stands still, or moves."""
        self._paused.set(halted)

    def retain(self, nodes: Collection[str]) -> None:
        """All nodes there are."""
        for gauge in (self._up, self._head, self._lag, self._used, self._left, self._aside):
            for name in {sample.labels["node"] for family in gauge.collect() for sample in family.samples}:
                if name not in nodes:
                    gauge.remove(name)
