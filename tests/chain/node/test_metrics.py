"""The metrics of nodes."""

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from chain.node.metrics import PrometheusMetrics
from tests.support.fake_node import SECRET


async def test_metrics_name_nodes_and_never_urls(nodes: Any, make_pool: Any) -> None:
    registry = CollectorRegistry()
    pool = make_pool(metrics=PrometheusMetrics(registry))
    for node, value in zip(nodes, ("0x1", "0x2", "0x2"), strict=True):
        node.results["eth_getBalance"] = value
    await pool.refresh()
    await pool.quorum("eth_getBalance", [])
    text = generate_latest(registry).decode()
    assert SECRET not in text
    assert 'chain_rpc_requests_total{method="eth_blockNumber",node="a.test",outcome="ok"} 1.0' in text
    assert 'chain_node_set_aside{node="a.test"} 1.0' in text
    assert 'chain_node_dissents_total{method="eth_getBalance",node="a.test"} 1.0' in text
