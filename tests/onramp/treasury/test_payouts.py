"""Decisions about payouts over real HTTP: made by two persons, in the right state, and recorded in the audit trail."""

from typing import Any

import pytest
import sqlalchemy as sa

from kit.audit.table import entries
from tests.support.operators import OperatorClient, operator_client
from tests.support.service import Service
from tests.support.service_payouts import owe_payout
from treasury.core.facts import OperationFact


async def audit_rows(service: Service) -> list[tuple[str, str, Any]]:
    async with service.database.read() as conn:
        rows = await conn.execute(sa.select(entries).where(entries.c.action.like("treasury.payout%")))
        return [(row.action, row.subject, row.new_values) for row in rows]


async def test_a_payout_above_a_limit_is_approved_by_an_approver(service: Service) -> None:
    payout_id = await owe_payout(service, OperationFact.APPROVAL_REQUIRED)
    ada, otto = await operator_client(service, "approver", "ada"), await operator_client(service, "operator", "otto")
    assert (await otto.post(f"/payouts/{payout_id}/approve"))[0] == 403
    status, shown = await ada.post(f"/payouts/{payout_id}/approve", {"note": "I know this buyer"})
    assert (status, shown["status"], shown["reason"]) == (200, "approved", None)
    assert shown["approvedBy"].startswith("key_")
    assert (shown["history"][-1]["note"], shown["history"][-1]["by"]) == ("I know this buyer", shown["approvedBy"])
    status, problem = await ada.post(f"/payouts/{payout_id}/approve")
    assert (status, problem["code"]) == (409, "not_possible")
    (done, refused) = await audit_rows(service)
    assert (done[0], done[1], done[2]["status"]) == ("treasury.payout_approve", payout_id, "approved")
    assert refused == ("treasury.payout_approve_refused", payout_id, {"code": "not_possible"})
    page = (await ada.get(f"/audit?subject={payout_id}"))[1]["data"]
    version = (await ada.get("/policy"))[1]["active"]["version"]
    assert ({row["policyVersion"] for row in page}, version > 0) == ({version}, True)


async def test_a_rejected_payout_is_retried_by_two_persons(service: Service) -> None:
    payout_id = await owe_payout(service)
    ada, ada_too = await operator_client(service, "approver", "ada"), await operator_client(service, "approver", "ada")
    eve = await operator_client(service, "approver", "eve")
    assert (await ada.post(f"/payouts/{payout_id}/retry"))[1]["code"] == "not_possible"
    assert (await ada.post(f"/payouts/{payout_id}/reject"))[1]["status"] == "rejected"
    status, shown = await ada.post(f"/payouts/{payout_id}/retry")
    assert (status, shown["status"], shown["retryBy"] is None) == (200, "rejected", False)
    assert (await ada_too.post(f"/payouts/{payout_id}/retry"))[1]["code"] == "self_approval"
    status, shown = await eve.post(f"/payouts/{payout_id}/retry")
    assert (status, shown["status"], shown["retryBy"]) == (200, "approved", None)


async def test_a_rejected_payout_is_settled_with_a_note(service: Service) -> None:
    payout_id = await owe_payout(service, OperationFact.REJECTED)
    ada = await operator_client(service, "approver", "ada")
    path = f"/payouts/{payout_id}/settle"
    assert (await ada.post(path, {}))[0] == 422
    assert (await ada.post(path, {"txHash": "0x12"}))[0] == 422
    status, problem = await ada.post(path, {"txHash": "0x" + "ab" * 32})
    assert (status, problem["code"]) == (409, "not_settled"), "the chain proves no such transfer"
    status, shown = await ada.post(path, {"note": "paid by bank transfer"})
    assert (status, shown["status"]) == (200, "cancelled")
    assert (await ada.post(path, {"note": "again"}))[1]["code"] == "not_possible"


async def test_nothing_is_let_through_while_payouts_are_paused_but_no_is_always_possible(service: Service) -> None:
    payout_id = await owe_payout(service, OperationFact.APPROVAL_REQUIRED)
    ada = await operator_client(service, "approver", "ada")
    await ada.post("/pause", {"scope": "payouts"})
    status, problem = await ada.post(f"/payouts/{payout_id}/approve")
    assert (status, problem["code"]) == (409, "paused")
    assert (await ada.post(f"/payouts/{payout_id}/reject"))[0] == 200
    assert (await ada.post(f"/payouts/{payout_id}/retry"))[1]["code"] == "paused"


@pytest.mark.parametrize("action", ["approve", "reject", "retry", "settle"])
async def test_every_order_asks_for_an_approver_and_a_payout_that_is_there(service: Service, action: str) -> None:
    body = {"note": "x"}
    for role in ("viewer", "operator", "admin"):
        assert (await (await operator_client(service, role, role)).post(f"/payouts/pay_1/{action}", body))[0] == 403
    assert (await OperatorClient(service, None).post(f"/payouts/pay_1/{action}", body))[0] == 401
    ada = await operator_client(service, "approver", "ada")
    assert (await ada.post(f"/payouts/pay_unknown/{action}", body))[0] == 404
    assert (await ada.post(f"/payouts/pay_unknown/{action}", {"note": 5}))[0] == 422
    assert await audit_rows(service) == []
