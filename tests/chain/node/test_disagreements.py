"""A node that contradicted the others returns once it gives the agreed answer, and not before."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from chain.errors import NoAgreement
from chain.node.disagreements import FIRST_WAIT, MAX_OPEN, MAX_TRIES, MAX_WAIT
from chain.node.metrics import PrometheusMetrics

LIED, ELSE = "eth_getBalance", "eth_getCode"
ARGS = ["0x" + "11" * 20, "0x64"]


def say(nodes: list[Any], method: str, *values: Any) -> None:
    for node, value in zip(nodes, values, strict=True):
        node.results[method] = value


async def later(pool: Any, seconds: float) -> None:
    """Let time pass, and read the head as a caller would."""
    pool.clock.seconds += seconds
    pool.expire_probe()
    await pool.refresh()
    await pool.wait_for_background()


@pytest.fixture
async def pool(nodes: Any, make_pool: Any) -> Any:
    """A pool in which one node of three has given a wrong balance and answers everything else correctly."""
    registry = CollectorRegistry()
    pool = make_pool(metrics=PrometheusMetrics(registry))
    pool.page = lambda: generate_latest(registry).decode()
    say(nodes, ELSE, "0x60", "0x60", "0x60")
    say(nodes, LIED, "0x1", "0x5", "0x5")
    await pool.quorum(LIED, ARGS)
    assert pool.nodes[0].quarantined
    return pool


async def test_the_truth_about_something_else_does_not_bring_it_back(pool: Any) -> None:
    assert "a.test" not in (await pool.quorum(ELSE, ARGS)).agreed_by
    assert "a.test" not in (await pool.quorum(LIED, [ARGS[0], "0x63"])).agreed_by
    assert pool.nodes[0].quarantined
    assert pool.statuses()[0].contradicts == (LIED,)
    assert 'chain_node_set_aside{node="a.test"} 1.0' in pool.page()


async def test_it_returns_although_no_caller_repeats_the_call(nodes: Any, pool: Any) -> None:
    say(nodes, LIED, "0x5", "0x5", "0x5")
    await later(pool, FIRST_WAIT)
    assert not pool.nodes[0].quarantined
    assert pool.statuses()[0].contradicts == ()
    assert 'chain_node_set_aside{node="a.test"} 0.0' in pool.page()
    assert "a.test" in (await pool.quorum(ELSE, ARGS)).agreed_by


async def test_a_node_that_keeps_contradicting_stays_quarantined_and_is_asked_less_and_less_often(
    nodes: Any, pool: Any
) -> None:
    before = nodes[1].seen[LIED]
    for _ in range(300):
        await later(pool, 1.0)
        await pool.quorum(ELSE, ARGS)
        assert pool.nodes[0].quarantined
    assert nodes[1].seen[LIED] - before <= 5 + 300 / MAX_WAIT
    say(nodes, LIED, "0x5", "0x5", "0x5")
    await later(pool, MAX_WAIT)
    assert not pool.nodes[0].quarantined


async def test_it_returns_once_it_has_corrected_every_answer(nodes: Any, pool: Any) -> None:
    for number in range(3 * MAX_OPEN):
        await pool.quorum(LIED, [ARGS[0], hex(number)])
    nodes[0].results[LIED] = lambda params: "0x1" if params[1] == "0x3" else "0x5"
    await later(pool, FIRST_WAIT)
    assert pool.nodes[0].quarantined
    nodes[0].results[LIED] = "0x5"
    await later(pool, 2 * FIRST_WAIT)
    assert not pool.nodes[0].quarantined


async def test_a_disagreement_that_no_node_can_answer_any_more_is_dropped(nodes: Any, pool: Any) -> None:
    say(nodes, LIED, None, None, None)
    await later(pool, FIRST_WAIT)
    assert not pool.nodes[0].quarantined


async def test_its_silence_is_not_held_against_it_for_ever(nodes: Any, pool: Any) -> None:
    say(nodes, LIED, None, "0x5", "0x5")
    for _ in range(MAX_TRIES):
        await later(pool, MAX_WAIT)
        assert pool.nodes[0].quarantined
    await later(pool, MAX_WAIT)
    assert not pool.nodes[0].quarantined


async def test_a_node_that_contradicts_again_after_a_long_silence_stays_quarantined(nodes: Any, pool: Any) -> None:
    say(nodes, LIED, None, "0x5", "0x5")
    for _ in range(MAX_TRIES):
        await later(pool, MAX_WAIT)
    say(nodes, LIED, "0x1", "0x5", "0x5")
    for _ in range(3):
        await later(pool, MAX_WAIT)
        assert pool.nodes[0].quarantined


async def test_a_quarantined_node_is_asked_at_once_if_its_answer_is_needed(nodes: Any, pool: Any) -> None:
    for _ in range(5):
        await later(pool, MAX_WAIT)
    say(nodes, LIED, "0x5", "0x5", "0x5")
    await nodes[2].stop()
    assert set((await pool.quorum(ELSE, ARGS)).agreed_by) == {"a.test", "b.test"}
    assert pool.nodes[0].quarantined
    await later(pool, 0.1)
    assert not pool.nodes[0].quarantined


async def test_one_other_provider_cannot_decide_whether_its_answer_is_wrong(nodes: Any, pool: Any) -> None:
    await nodes[2].stop()
    for _ in range(2 * MAX_TRIES):
        await later(pool, MAX_WAIT)
        assert pool.nodes[0].quarantined
    with pytest.raises(NoAgreement):
        await pool.quorum(LIED, ARGS)
