"""What was bought of a node is kept to; what is slow is overtaken; another list of nodes is taken without a restart."""

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from chain.errors import NoAgreement, OutOfBudget, Unreachable
from chain.monitor.monitor import ChainMonitor
from chain.node.budget import CREDITS, OTHERS, Plan
from chain.node.config import parse_ws, read_nodes
from chain.node.credits import save
from chain.node.metrics import NullMetrics, PrometheusMetrics
from kit.clock import SystemClock
from kit.db.database import Database
from onramp.config.loader import SettingsError, load

METHOD = "eth_getBalance"
ARGS = ["0x" + "11" * 20, "0x64"]
WEIGHT = CREDITS.get(METHOD, CREDITS[OTHERS])


def private(nodes: list[Any]) -> list[Any]:
    """The first is Spectrum's, the others are public."""
    return [replace(nodes[0].config, spectrum=True), *(node.config for node in nodes[1:])]


def all_say(nodes: list[Any], value: str) -> None:
    for node in nodes:
        node.results[METHOD] = value


async def test_near_its_end_the_month_is_kept_for_money(nodes: Any, make_pool: Any) -> None:
    all_say(nodes, "0x5")
    pool = make_pool(configs=private(nodes), plan=Plan(monthly_credits=100))
    first = pool.nodes[0]
    assert await pool.first(METHOD, ARGS) == "0x5"
    before = first.budget.used
    assert before == 1 + WEIGHT, "the chain id, and the question"
    while first.budget.left > 10:
        await pool.first(METHOD, ARGS)
    used = first.budget.used
    await pool.first(METHOD, ARGS)
    assert first.budget.used == used, "a hint goes to others"
    agreed = await pool.quorum(METHOD, ARGS)
    assert "a.test" in agreed.agreed_by, "money may use the rest"
    while first.budget.left:
        await pool.quorum(METHOD, ARGS)
    assert pool.statuses()[0].health == "out of budget"
    assert (await pool.quorum(METHOD, ARGS)).agreed_by == ("b.test", "c.test")


async def test_no_node_is_asked_more_often_a_second_than_was_bought(nodes: Any, make_pool: Any) -> None:
    all_say(nodes, "0x5")
    pool = make_pool(configs=private(nodes)[:1], agreement=1, plan=Plan(per_second=5), clock=SystemClock())
    await pool.first(METHOD, ARGS)
    began = time.monotonic()
    for _ in range(10):
        await pool.quorum(METHOD, ARGS)
    assert time.monotonic() - began >= 1.0


async def test_callers_who_wait_for_the_chain_id_do_not_ask_all_at_once(nodes: Any, make_pool: Any) -> None:
    all_say(nodes, "0x5")
    pool = make_pool(configs=private(nodes)[:1], agreement=1, plan=Plan(per_second=5))
    await asyncio.gather(*(pool.first(METHOD, ARGS) for _ in range(20)))
    assert nodes[0].seen[METHOD] == 20
    assert pool._clock.seconds - 1000 >= (20 + 1 - 5) / 5


async def test_a_question_that_cannot_wait_so_long_is_refused(nodes: Any, make_pool: Any) -> None:
    all_say(nodes, "0x5")
    pool = make_pool(configs=private(nodes)[:1], agreement=1, plan=Plan(per_second=1), clock=SystemClock())
    await pool.first(METHOD, ARGS)
    with pytest.raises((OutOfBudget, NoAgreement)):
        await asyncio.gather(*(pool.quorum(METHOD, ARGS, timeout=0.2) for _ in range(3)))


async def test_a_month_is_counted_by_all_processes_and_forgotten_by_the_next(
    nodes: Any, make_pool: Any, database: Database
) -> None:
    all_say(nodes, "0x5")
    one, other = (make_pool(configs=private(nodes), plan=Plan(monthly_credits=1000)) for _ in range(2))
    for pool in (one, other):
        for _ in range(3):
            await pool.quorum(METHOD, ARGS)
    spent = one.nodes[0].budget.used + other.nodes[0].budget.used
    for pool in (one, other, one):
        await save(database, pool.nodes[:1])
    assert one.nodes[0].budget.used == other.nodes[0].budget.used == spent
    restarted = make_pool(configs=private(nodes), plan=Plan(monthly_credits=1000))
    await save(database, restarted.nodes[:1])
    assert restarted.nodes[0].budget.used == spent
    restarted.nodes[0].budget._clock.seconds += 32 * 24 * 3600
    assert restarted.nodes[0].budget.used == 0


async def test_what_a_database_that_was_away_did_not_count_is_counted_later(
    nodes: Any, make_pool: Any, database: Database
) -> None:
    all_say(nodes, "0x5")
    pool = make_pool(configs=private(nodes), plan=Plan(monthly_credits=1000))
    await pool.quorum(METHOD, ARGS)
    spent = pool.nodes[0].budget.used
    async with database.write() as conn:
        await conn.execute(sa.text("ALTER TABLE chain_credits RENAME TO away"))
    with pytest.raises(sa.exc.DBAPIError):
        await save(database, pool.nodes[:1])
    async with database.write() as conn:
        await conn.execute(sa.text("ALTER TABLE away RENAME TO chain_credits"))
    await save(database, pool.nodes[:1])
    assert pool.nodes[0].budget.used == spent


async def test_a_slow_node_is_overtaken_by_the_next(nodes: Any, make_pool: Any) -> None:
    all_say(nodes, "0x5")
    pool = make_pool(clock=SystemClock())
    for _ in range(20):
        await pool.first(METHOD, ARGS)

    async def slowly(_request: web.Request, call: dict[str, Any]) -> web.Response:
        await asyncio.sleep(5)
        return web.json_response({"jsonrpc": "2.0", "id": call["id"], "result": "0x5"})

    nodes[0].raw[METHOD] = slowly
    began = time.monotonic()
    assert await pool.first(METHOD, ARGS) == "0x5"
    assert time.monotonic() - began < 2
    assert pool.calls["b.test", METHOD] >= 1


async def test_no_question_is_sent_to_overtake_that_is_not_to_spare(nodes: Any, make_pool: Any) -> None:
    all_say(nodes, "0x5")
    pool = make_pool(configs=[replace(node.config, spectrum=True) for node in nodes], plan=Plan(per_second=100))
    first, *others = pool.nodes
    for _ in range(20):
        await first.call(METHOD, ARGS)
    for other in others:
        while not other.budget.wait():
            other.budget.spend(METHOD)

    async def slowly(_request: web.Request, call: dict[str, Any]) -> web.Response:
        await asyncio.sleep(1)
        return web.json_response({"jsonrpc": "2.0", "id": call["id"], "result": "0x6"})

    nodes[0].raw[METHOD] = slowly
    assert await pool.first(METHOD, ARGS) == "0x6"
    assert {name for name, method in pool.calls if method == METHOD} == {first.name}


async def test_what_a_call_costs_may_be_set(nodes: Any, make_pool: Any) -> None:
    all_say(nodes, "0x5")
    nodes[0].results["eth_getTransactionCount"] = "0x1"
    plan = load(SPECTRUM_MONTHLY_CREDITS=1000, SPECTRUM_CREDIT_WEIGHTS=f"{METHOD}=70, *=3").plan
    pool = make_pool(configs=private(nodes), plan=plan)
    assert await pool.first(METHOD, ARGS) == "0x5"
    await pool.nodes[0].call("eth_getTransactionCount", ARGS)
    assert pool.nodes[0].budget.used == CREDITS["eth_chainId"] + 70 + 3


@pytest.mark.parametrize("text", ["eth_call", "eth_call=", "eth_call=-1", "eth_call=1.5", "=5", "eth call=5", "**=1"])
def test_a_weight_that_cannot_be_read_stops_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match=r"SPECTRUM_CREDIT_WEIGHTS: .* is not a weight of a method"):
        load(SPECTRUM_CREDIT_WEIGHTS=text)


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
    await asyncio.sleep(0.3)  # a probe of a moment ago would do for the pool
    await pool.refresh()
    assert set(pool.heads()) == {"a.test", "c.test"}
    file.write_text("nothing here\n")
    with structlog.testing.capture_logs() as told:
        for _ in range(3):
            await watch.check_once()
    assert len(pool.nodes) == 2, "a file that cannot be read changes nothing"
    assert [(line["event"], line["kept"]) for line in told] == [("chain.nodes_file_not_read", ["c.test", "a.test"])]
    file.write_text(f"MEZO_RPC_URLS={urls[0]}\n")
    with structlog.testing.capture_logs() as told:
        await watch.check_once()
    assert [(line["event"], line["log_level"]) for line in told] == [
        ("chain.nodes_reloaded", "info"), ("chain.nodes_too_few", "error"),
    ]  # fmt: skip


async def test_how_a_node_stood_is_told_no_more_once_it_is_taken_from_the_list(
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
    async with asyncio.timeout(60):
        while registry.get_sample_value("chain_node_set_aside", {"node": "a.test"}) is not None:
            await asyncio.sleep(0.05)
    await watch.stop()
    assert registry.get_sample_value("chain_node_up", {"node": "a.test"}) is None
    assert registry.get_sample_value("chain_node_up", {"node": "b.test"}) == 1


async def test_a_lockdown_and_a_halt_are_pauses_in_words(nodes: Any, make_pool: Any, database: Database) -> None:
    pool = make_pool()
    watch = ChainMonitor(pool, database, NullMetrics())
    assert pool.halt_reason is None
    locked = "0x" + "00" * 31 + "01"
    for node, said in zip(nodes, (locked, "0x", "0x"), strict=True):
        node.results["eth_call"] = said
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
    pool._clock.seconds += 60
    await pool.refresh()
    assert "no new block" in (pool.halt_reason or "")


@pytest.mark.parametrize("url", ["http://a.test", "a.test", "wss:/x", "name=https://a"])
def test_only_a_websocket_wakes(url: str) -> None:
    with pytest.raises(ValueError, match="entry 1"):
        parse_ws(url)


async def test_a_pool_without_nodes_says_so(make_pool: Any) -> None:
    pool = make_pool()
    pool.reload([])
    with pytest.raises(Unreachable):
        await pool.first(METHOD, ARGS)
