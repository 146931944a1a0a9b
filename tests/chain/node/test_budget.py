"""The purchased budget of a node is not exceeded, slow calls are hedged, and another list of nodes is applied without a restart."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web

from chain.errors import NoAgreement, OutOfBudget, Unreachable
from chain.node.budget import CREDITS, OTHERS, Plan
from chain.node.credits import save
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
    assert pool.clock.seconds - 1000 >= (20 + 1 - 5) / 5


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
    restarted.clock.seconds += 32 * 24 * 3600
    assert restarted.nodes[0].budget.used == 0


async def test_credits_not_stored_while_the_database_was_away_are_stored_later(
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


async def test_the_cost_of_a_call_is_configurable(nodes: Any, make_pool: Any) -> None:
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


async def test_a_pool_without_nodes_says_so(make_pool: Any) -> None:
    pool = make_pool()
    pool.reload([])
    with pytest.raises(Unreachable):
        await pool.first(METHOD, ARGS)
