"""The background work of a pool: the node list, the lockdown, the metrics."""

import os
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from chain.monitor.monitor import ChainMonitor
from chain.node.config import read_nodes
from chain.node.metrics import NullMetrics, PrometheusMetrics
from kit.db.database import Database
from tests.support.waiting import eventually

METHOD = "eth_getBalance"


ARGS = ["0x" + "11" * 20, "0x64"]


def all_say(nodes: list[Any], value: str) -> None:
    for node in nodes:
        node.results[METHOD] = value


async def test_another_list_of_nodes_is_taken_and_what_was_known_is_kept(
    nodes: Any, make_pool: Any, database: Database, tmp_path: Path
) -> None:
    all_say(nodes, "0x5")
    file = tmp_path / "nodes"
    urls = [f"{node.config.provider}={node.config.url}" for node in nodes]
    file.write_text(f"MEZO_RPC_URLS={urls[0]},{urls[1]}\n")
    pool = make_pool(configs=read_nodes(file))
    watch = ChainMonitor(pool, database, NullMetrics(), nodes_file=file)
    await watch.check_once()
    await pool.refresh()
    kept = pool.nodes[0]
    file.write_text(f"# a comment\nSPECTRUM_RPC_URLS={urls[2]}\nMEZO_RPC_URLS={urls[0]}\n")
    later = file.stat().st_mtime + 5

    os.utime(file, (later, later))
    await watch.check_once()
    assert [node.name for node in pool.nodes] == ["c.test", "a.test"]
    assert pool.nodes[1] is kept
    pool.expire_probe()
    await pool.refresh()
    assert set(pool.heads()) == {"a.test", "c.test"}
    file.write_text("nothing here\n")
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            await watch.check_once()
    assert len(pool.nodes) == 2, "a file that cannot be read changes nothing"
    assert [(line["event"], line["kept"]) for line in logged] == [("chain.nodes_file_not_read", ["c.test", "a.test"])]
    file.write_text(f"MEZO_RPC_URLS={urls[0]}\n")
    with structlog.testing.capture_logs() as logged:
        await watch.check_once()
    assert [(line["event"], line["log_level"]) for line in logged] == [
        ("chain.nodes_reloaded", "info"), ("chain.nodes_too_few", "error"),
    ]  # fmt: skip


async def test_a_node_removed_from_the_list_has_no_metrics_any_more(
    nodes: Any, make_pool: Any, database: Database
) -> None:
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry)
    all_say(nodes, "0x5")
    nodes[0].results[METHOD] = "0x6"
    pool = make_pool(metrics=metrics)
    await pool.refresh()
    await pool.quorum(METHOD, ARGS)
    assert registry.get_sample_value("chain_node_set_aside", {"node": "a.test"}) == 1
    pool.reload(node.config for node in nodes[1:])
    watch = ChainMonitor(pool, database, metrics)
    watch.start()
    await eventually(lambda: registry.get_sample_value("chain_node_set_aside", {"node": "a.test"}) is None)
    await watch.stop()
    assert registry.get_sample_value("chain_node_up", {"node": "a.test"}) is None
    assert registry.get_sample_value("chain_node_up", {"node": "b.test"}) == 1


async def test_a_lockdown_and_a_halt_are_reported_as_pauses(nodes: Any, make_pool: Any, database: Database) -> None:
    pool = make_pool()
    watch = ChainMonitor(pool, database, NullMetrics())
    assert pool.halt_reason is None
    locked = "0x" + "00" * 31 + "01"
    for node, reply in zip(nodes, (locked, "0x", "0x"), strict=True):
        node.results["eth_call"] = reply
    await watch.check_once()
    assert pool.halt_reason is None, "one provider alone says so"
    for node in nodes:
        node.results["eth_call"] = locked
    await watch.check_once()
    assert "lockdown" in (pool.halt_reason or "")
    for node in nodes:
        node.results["eth_call"] = "0x"
    await watch.check_once()
    assert pool.halt_reason is None
    await pool.refresh()
    pool.clock.seconds += 60
    await pool.refresh()
    assert "no new block" in (pool.halt_reason or "")
