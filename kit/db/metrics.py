"""Use of the database connection pool, read when Prometheus asks."""

from collections.abc import Iterable

import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from kit.db.database import Database


class PoolMetrics(Collector):
    """The metrics `PREFIX_database_pool_...`; they have no values for an in-memory database, which has no pool."""

    def __init__(self, database: Database, registry: CollectorRegistry, prefix: str) -> None:
        """Register the metrics; their names begin with `prefix`, such as `onramp`."""
        self._pool = database.engine.pool
        self._prefix = prefix
        registry.register(self)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield three gauges: the connections in use, the idle ones, and the most that the pool opens."""
        prefix = self._prefix
        used = GaugeMetricFamily(
            f"{prefix}_database_pool_connections", "Connections to the database.", labels=["state"]
        )
        size = GaugeMetricFamily(f"{prefix}_database_pool_size", "The most connections that the pool opens.")
        if isinstance(self._pool, sa.QueuePool):
            used.add_metric(["in_use"], self._pool.checkedout())
            used.add_metric(["idle"], self._pool.checkedin())
            size.add_metric([], self._pool.size())
        return [used, size]
