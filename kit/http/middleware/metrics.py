"""Request metrics: count and duration by method, route and status."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class HttpMetrics:
    """Counts and times requests by route, never by path: a path may hold an id, so its values would grow with use."""

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        """Register the metrics; their names begin with `prefix`, such as `onramp` for `onramp_http_requests_total`."""
        labels = ("method", "route", "status")
        self.count = Counter(
            f"{prefix}_http_requests_total",
            "Requests answered. A route's success and 500 start at 0; another status is there from its first response.",
            labels,
            registry=registry,
        )
        self.seconds = Histogram(
            f"{prefix}_http_request_duration_seconds", "Time to answer.", labels, registry=registry, buckets=_BUCKETS
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def declare(self, routes: Iterable[tuple[str, str, int]]) -> None:
        """Show, from the start at 0, the responses of each route (method, path, status of success) that succeed or end with 500.

        Prometheus's `increase` does not count the first value of a series, so a route's first failure would be missed otherwise.
        """
        for method, route, status in routes:
            for each in (status, 500):
                self.count.labels(method, route, str(each))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one response, and how many seconds it took.

        The labelled children are cached: looking one up by its labels costs more than counting.
        """
        key = (method, route, status)
        children = self._children.get(key)
        if children is None:
            children = (self.count.labels(method, route, str(status)), self.seconds.labels(method, route, str(status)))
            self._children[key] = children
        children[0].inc()
        children[1].observe(seconds)
