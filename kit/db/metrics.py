"""How many of the database's connections are in use; read when Prometheus asks, so that it is never old."""

from collections.abc import Iterable

import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from kit.db.database import Database


class PoolMetrics(Collector):
    """The families named `onramp_database_pool_...`; a pool of one shared connection, in memory, shows none."""

    def __init__(self, database: Database, registry: CollectorRegistry) -> None:
        """Register with what serves /metrics."""
        self._pool = database.engine.pool
        registry.register(self)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """In use, idle, and how many there may be without waiting."""
        used = GaugeMetricFamily("onramp_database_pool_connections", "Connections to the database.", labels=["state"])
        size = GaugeMetricFamily("onramp_database_pool_size", "Connections that are kept open at most.")
        if isinstance(self._pool, sa.QueuePool):
            used.add_metric(["in_use"], self._pool.checkedout())
            used.add_metric(["idle"], self._pool.checkedin())
            size.add_metric([], self._pool.size())
        return [used, size]
