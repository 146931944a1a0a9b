"""One word for how a node stands, from what nodes really did; and the numbers behind it."""

from typing import Any

import pytest
from aiohttp import web

from chain.standing import standings
from chain.tally import Tally
from tests.chain.conftest import HandClock

BEHIND = 5


def words(pool: Any) -> list[str]:
    return [standing.health for standing in standings(pool, BEHIND)]


async def test_nodes_are_untested_before_a_question_and_alive_after(nodes: Any, pool: Any) -> None:
    assert words(pool) == ["untested"] * 3
    for node in nodes:
        node.results["eth_blockNumber"] = hex(100)
    await pool.refresh()
    assert words(pool) == ["alive"] * 3
    assert [standing.lag for standing in standings(pool, BEHIND)] == [0, 0, 0]


async def test_a_node_is_lagging_only_beyond_the_blocks_allowed(nodes: Any, pool: Any) -> None:
    for node, head in zip(nodes, (100, 95, 94), strict=True):
        node.results["eth_blockNumber"] = hex(head)
    await pool.refresh()
    assert words(pool) == ["alive", "alive", "lagging"]


async def test_another_chain_and_silence_have_words_of_their_own(nodes: Any, pool: Any) -> None:
    nodes[0].results["eth_chainId"] = hex(1)
    nodes[1].results["eth_blockNumber"] = hex(100)
    await nodes[2].stop()
    await pool.refresh()
    assert words(pool) == ["wrong_chain", "alive", "unreachable"]
    gone = standings(pool, BEHIND)[2]
    assert gone.errors == {"unreachable": 1}
    assert gone.p95 is None


async def test_a_node_that_asks_for_rest_is_cooling_down_until_a_call_shows_it_is_back(
    nodes: Any, make_pool: Any
) -> None:
    clock = HandClock()
    pool = make_pool(clock=clock)

    async def busy(_request: web.Request, _call: dict[str, Any]) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "20"})

    nodes[0].results["eth_blockNumber"] = hex(100)
    nodes[0].raw["eth_chainId"] = busy
    await pool.refresh()
    assert words(pool)[0] == "cooling_down"
    clock.seconds += 21
    assert words(pool)[0] == "cooling_down"
    del nodes[0].raw["eth_chainId"]
    await pool.nodes[0].call("eth_blockNumber", [])
    assert words(pool)[0] == "alive"


async def test_one_set_aside_cannot_make_the_others_look_late(nodes: Any, pool: Any) -> None:
    for node, head in zip(nodes, (9000, 100, 100), strict=True):
        node.results["eth_blockNumber"] = hex(head)
    await pool.refresh()
    pool.nodes[0].set_aside = True
    assert words(pool) == ["set_aside", "alive", "alive"]


@pytest.mark.parametrize(("share", "seconds"), [(0.5, 0.50), (0.95, 0.95), (1.0, 1.0)])
def test_quantiles_are_of_good_answers_alone(share: float, seconds: float) -> None:
    tally = Tally()
    for hundredth in range(100, 0, -1):
        tally.note("eth_call", "ok", hundredth / 100)
    tally.note("eth_call", "timeout", 10.0)
    tally.note("eth_call", "cancelled", 10.0)
    assert tally.quantile(share) == pytest.approx(seconds)
    assert tally.errors == {"timeout": 1}
    assert tally.credits == 102 * 2
