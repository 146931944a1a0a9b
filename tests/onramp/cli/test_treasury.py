"""`onramp treasury` as a person types it, in its own process, against a real service."""

import json

import pytest

from onramp.cli import advice
from tests.support.operators import make_key
from tests.support.service import Service
from tests.support.service_payouts import owe_payout
from tests.support.treasury_commands import run_treasury_async
from treasury.core.facts import OperationFact
from treasury.core.reasons import Reason
from treasury.payouts.states import RECHECKED
from treasury.sweeps.states import REASONS as SWEEP_REASONS


async def test_an_approver_finds_what_waits_and_types_what_is_printed(service: Service) -> None:
    payout_id = await owe_payout(service, OperationFact.APPROVAL_REQUIRED)
    ada = await make_key(service.database, "approver", "ada")
    listed = await run_treasury_async(service.api, ada, "payouts")
    assert listed.returncode == 0, listed.stderr
    assert payout_id in listed.stdout
    assert f"onramp treasury approve {payout_id}" in listed.stdout
    approved = await run_treasury_async(service.api, ada, "approve", payout_id, "--note", "I know this buyer", "--json")
    assert (approved.returncode, json.loads(approved.stdout)["status"]) == (0, "approved")
    again = await run_treasury_async(service.api, ada, "approve", payout_id)
    assert (again.returncode, again.stdout, again.stderr.count("\n")) == (1, "", 1)
    assert again.stderr.startswith("onramp: not_possible: ")
    rejected = await run_treasury_async(service.api, ada, "reject", payout_id)
    assert (rejected.returncode, f"onramp treasury retry {payout_id}" in rejected.stdout) == (0, True)
    followed = await run_treasury_async(service.api, ada, "payouts", payout_id, "--watch")
    assert followed.returncode == 1
    assert "the buyer is unpaid: onramp treasury retry" in followed.stderr
    assert [line.split()[1] for line in followed.stdout.splitlines()] == ["planned", "awaiting_approval", "approved", "rejected"]  # fmt: skip
    settled = await run_treasury_async(service.api, ada, "settle", payout_id, "--note", "paid by bank", "--json")
    assert json.loads(settled.stdout)["status"] == "cancelled"


async def test_one_person_pauses_everything_and_another_resumes(service: Service) -> None:
    otto, ada = (
        await make_key(service.database, "operator", "otto"),
        await make_key(service.database, "approver", "ada"),
    )
    stopped = await run_treasury_async(service.api, otto, "pause", "--note", "odd")
    assert (stopped.returncode, stopped.stdout.count("PAUSED")) == (0, 3)
    assert "onramp treasury resume" in stopped.stdout
    shown = await run_treasury_async(service.api, otto, "balances")
    assert "sales paused by key_" in shown.stdout
    refused = await run_treasury_async(service.api, otto, "resume")
    assert (refused.returncode, refused.stderr.startswith("onramp: forbidden: ")) == (1, True)
    resumed = await run_treasury_async(service.api, ada, "resume", "--scope", "all", "--json")
    assert (resumed.returncode, json.loads(resumed.stdout)["paused"]) == (0, [])


async def test_json_is_what_the_routes_answer(service: Service) -> None:
    payout_id = await owe_payout(service)
    vera = await make_key(service.database, "viewer", "vera")
    asked = {
        ("balances",): "/balances",
        ("payouts",): "/payouts?limit=20",
        ("payouts", payout_id): f"/payouts/{payout_id}",
        ("sweeps",): "/sweeps?limit=20",
    }
    for command, path in asked.items():
        result = await run_treasury_async(service.api, vera, *command, "--json")
        headers = {"Authorization": f"Bearer {vera}"}
        async with service.http.get(f"{service.api}/api/v1/treasury{path}", headers=headers) as answer:
            assert json.loads(result.stdout) == await answer.json()


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("approve", "ons_1"), 2),
        (("approve",), 2),
        (("retry", "swp_1"), 2),
        (("settle", "pay_1"), 2),
        (("pause", "--scope", "everything"), 2),
        (("payouts", "--watch"), 2),
        (("payouts", "--limit", "0"), 2),
        (("payouts", "--status", "paid"), 2),
        (("payouts", "pay_unknown"), 1),
        (("transaction", "../../pause"), 1),
    ],
)
async def test_a_refused_command_prints_one_line(service: Service, arguments: tuple[str, ...], status: int) -> None:
    result = await run_treasury_async(service.api, await make_key(service.database, "approver", "ada"), *arguments)
    assert (result.returncode, result.stdout) == (status, "")
    assert "Traceback" not in result.stderr
    assert status == 2 or result.stderr.count("\n") == 1


async def test_without_a_key_and_without_a_service_it_says_so(service: Service) -> None:
    keyless = await run_treasury_async(service.api, "", "pause")
    assert (keyless.returncode, "ONRAMP_API_KEY" in keyless.stderr) == (1, True)
    service.api = "http://127.0.0.1:9"
    alone = await run_treasury_async(service.api, "ork_x", "balances")
    assert (alone.returncode, "ONRAMP_API_URL" in alone.stderr) == (1, True)


STALLS = {"waiting_for_second_node", "chain_paused", "reorg", "displaced", "mismatch"}
"""Of what is signed already: no reasons to be held."""
WAITS = (
    "insufficient", "fee_ceiling", "signing_stopped", "signer_unavailable", "proof_unavailable", "screening", "no_leader",
    "waiting_for_second_node", "chain_paused",
)  # fmt: skip
"""Why a payout may wait in the queue for longer than its turn takes."""


@pytest.mark.parametrize("status", ["planned", "approved"])
@pytest.mark.parametrize("reason", WAITS)
def test_whatever_keeps_a_payout_in_the_queue_has_a_next_command(status: str, reason: str) -> None:
    row = {"id": "pay_1", "status": status, "reason": reason, "sessionId": "ons_1"}
    result, command = advice.of_row(row)
    assert result not in {reason, "its turn comes", "the recipient is on the sanctions list"}
    assert command.startswith("onramp ")
    assert advice.of_row(row | {"reason": "queued"})[0] == "its turn comes"


@pytest.mark.parametrize(
    "reason", sorted((RECHECKED | SWEEP_REASONS | {Reason.SCREENING, Reason.TOKEN_CHANGED}) - STALLS)
)
def test_whatever_holds_a_row_has_a_next_command(reason: str) -> None:
    result, command = advice.of_row({"id": "swp_1", "status": "held", "reason": reason, "sessionId": "ons_1"})
    assert result != reason, "it is a sentence"
    assert command.startswith("onramp ")


def test_a_balance_out_of_bounds_says_by_how_much() -> None:
    row = {"asset": "MUSD", "available": "400.00", "floor": "5000.00", "target": "15000.00", "ceiling": "20000.00", "blockNumber": 1}  # fmt: skip
    assert advice.of_balance(row)[1] == "onramp treasury refill --asset MUSD --amount 14600.00"
    assert advice.of_balance(row | {"available": "20000.01"})[1] == "onramp treasury sweep --asset MUSD --amount excess"
    assert advice.of_balance(row | {"available": "20000.00"}) == ("", "")
    assert "not read yet" in advice.of_balance(row | {"blockNumber": None})[0]
