"""The overview names each problem in a sentence with its next step, the most urgent first."""

from datetime import UTC, datetime
from typing import Any

from chain.pool.health import NodeStatus
from kit.alarms import service as alarms_service
from onramp.operator_views import problems
from onramp.ops.health import Part
from tests.support.operators import API, OperatorClient, operator_client
from tests.support.service import Service
from tests.support.service_payouts import owe_payout
from treasury.core.facts import OperationFact

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)


def of_name(overview: Any, name: str) -> Any:
    return next(problem for problem in overview["problems"] if problem["name"] == name)


async def test_alarms_pauses_and_unwell_parts_are_problems_with_a_next_step(service: Service) -> None:
    payout_id = await owe_payout(service, OperationFact.APPROVAL_REQUIRED)
    async with service.database.write() as conn:
        await alarms_service.raise_in(conn, "treasury.payout_insufficient", payout_id, NOW, session="ons_1")
        await alarms_service.raise_in(conn, "audit.chain_moved", "chain", NOW)
    ada = await operator_client(service, "approver", "ada")
    await ada.post("/pause", {"scope": "sweeps", "note": "odd balances"})
    status, overview = await OperatorClient(service, ada.secret, API).get("/overview")
    assert status == 200
    held = of_name(overview, "treasury.payout_insufficient")
    assert (held["severity"], held["subject"], held["since"]) == ("critical", payout_id, "2026-11-21T03:00:00.000Z")
    assert held["sentence"].startswith("A payout is held: ")
    assert held["next"]["command"] == "onramp treasury balances"
    assert held["next"]["screen"] == f"queue?id={payout_id}"
    assert held["alarmId"].startswith("alm_")
    assert of_name(overview, "audit.chain_moved")["next"]["screen"] == "audit"
    paused = of_name(overview, "pause.sweeps")
    assert paused["sentence"] == "Sweeps are paused by ada, with the note: odd balances."
    assert paused["next"]["command"] == "onramp treasury resume --scope sweeps"
    assert [row["scope"] for row in overview["pauses"]] == ["sweeps"]
    assert of_name(overview, "approvals.waiting")["sentence"] == "One decision waits for a person: payout."
    order = ["critical", "warning", "info"]
    assert [row["severity"] for row in overview["problems"]] == sorted(
        (row["severity"] for row in overview["problems"]), key=order.index
    )
    assert overview["leader"] == {"owner": None, "leads": False, "leaseUntil": None}
    assert overview["head"] is None, "the nodes of this service do not answer"


async def test_viewers_read_it_and_callers_without_a_key_do_not(service: Service) -> None:
    assert (await OperatorClient(service, None, API).get("/overview"))[0] == 401
    assert (await (await operator_client(service, "dapp", "shop", API)).get("/overview"))[0] == 403
    assert (await (await operator_client(service, "viewer", "vera", API)).get("/overview"))[0] == 200


def test_a_part_is_a_problem_only_while_it_is_unwell() -> None:
    assert problems.of_part(Part("stripe", ok=True, detail="answers")) is None
    problem = problems.of_part(Part("chain", ok=False, detail="1 of 3 providers answer", since=NOW))
    assert problem is not None
    assert (problem.severity, problem.name, problem.next.screen) == ("critical", "part.chain", "nodes")
    assert problem.sentence == "Chain: 1 of 3 providers answer. Nothing is sold meanwhile."
    assert problem.since == "2026-11-21T03:00:00.000Z"
    assert problems.of_part(Part("pause", ok=False, detail="paused", vital=False)) is None, (
        "pauses are problems of their own"
    )


def test_a_node_that_contradicts_the_others_is_named_with_the_calls() -> None:
    status = NodeStatus(
        "boar", "boar", spectrum=False, state="ok", head=7, quarantined=True, contradicts=("eth_call",), last_error=None,
        health="set aside", lag=0, p50=None, p95=None, requests=3, errors={}, credits_used=0, credits_left=None, holds_from=None,
        pruned_to=None,
    )  # fmt: skip
    problem = problems.of_node(status)
    assert problem is not None
    assert (problem.name, problem.next.screen) == ("node.set_aside", "nodes")
    assert problem.sentence == "The node boar contradicts the other nodes, and its answers do not count (eth_call)."
