"""Everything that waits for a person is listed, with who may decide it."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from kit.audit.actor import Actor
from kit.ids import RandomIds
from onramp.auth.api_keys.table import api_key_secrets
from tests.support.operators import OperatorClient, operator_client
from tests.support.service import HOT_WALLET, Service, Start
from tests.support.service_payouts import TOKEN, owe_payout
from treasury.core.facts import OperationFact
from treasury.core.hot_wallets import HotWallet
from treasury.incidents import unmatched
from treasury.ledger import service as ledger_service
from treasury.ledger.model import Movement
from treasury.ledger.states import Account
from treasury.payouts import service as payouts_service
from treasury.settlements.table import settlements
from treasury.sweeps import service as sweeps_service

SAFE = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
WALLET = HotWallet(31611, HOT_WALLET)
MUSD = 10**18


@pytest.fixture
async def service(start: Start, database_url: str) -> Service:
    """Serve from both databases."""
    return await start(url=database_url)


async def propose_sweep(service: Service, person: str) -> str:
    proposal = sweeps_service.Proposal("MUSD", TOKEN, 1500 * MUSD, SAFE, "3", "0x" + "1d" * 32)
    async with service.database.write() as conn:
        made = await sweeps_service.propose(
            conn, proposal, WALLET, Actor("key_1", person), purpose="excess over ceiling", approval_needed=True,
            expires_after=timedelta(hours=24), now=NOW, ids=RandomIds(),
        )  # fmt: skip
    return made.id


async def test_everything_that_waits_is_listed_with_who_may_decide_it(service: Service) -> None:
    ada, eve = await operator_client(service, "approver", "ada"), await operator_client(service, "approver", "eve")
    payout_id = await owe_payout(service, OperationFact.REJECTED)
    assert (await ada.post(f"/payouts/{payout_id}/retry"))[0] == 200
    sweep_id = await propose_sweep(service, "ada")
    await ada.post("/pause", {"scope": "payouts", "note": "odd"})
    async with service.database.write() as conn:
        await unmatched.record(conn, WALLET, 7, now=NOW, ids=RandomIds(), note="somebody else")
        missing = Movement(
            wallet=HOT_WALLET, asset="MUSD", kind="difference", subject=HOT_WALLET, source=Account.AVAILABLE,
            target=Account.SUSPENSE, amount=3 * MUSD, at=NOW,
        )  # fmt: skip
        await ledger_service.adjust(conn, missing)
        claim = {
            "id": "stl_1", "tx_hash": "0x" + "ab" * 32, "session_id": None, "amount": 5_000_000, "status": "awaiting_approval",
            "open_claim": "x", "verified": False, "asked_by": "key_1", "asked_person": "ada", "created_at": NOW, "updated_at": NOW,
        }  # fmt: skip
        await conn.execute(sa.insert(settlements).values(**claim))
    await ada.post("/answer", {"subject": "MUSD", "note": "paid by hand"})

    _, seen_by_ada = await ada.get("/approvals")
    _, seen_by_eve = await eve.get("/approvals")
    listed = {
        row["action"] + " " + row["subject"]: row for row in seen_by_eve["data"] if row["action"] != "policy.approve"
    }
    unmatched_id = next(row["subject"] for row in seen_by_eve["data"] if row["subject"].startswith("fgn_"))
    assert set(listed) == {
        f"payout.retry {payout_id}", f"sweep.approve {sweep_id}", "pause.resume payouts", f"incident.answer {unmatched_id}",
        "incident.answer MUSD", "settlement.confirm stl_1",
    }  # fmt: skip
    assert all(row["mayApprove"] and row["why"] is None for row in listed.values())
    refused = {row["subject"] for row in seen_by_ada["data"] if not row["mayApprove"]}
    assert refused == {payout_id, sweep_id, "payouts", "MUSD", "stl_1"}, "she proposed these herself"
    sweep = listed[f"sweep.approve {sweep_id}"]
    assert sweep["sentence"] == f"Move 1500.00 MUSD from {HOT_WALLET} to the Safe {SAFE}: excess over ceiling."
    assert (sweep["proposedBy"], sweep["expiresAt"]) == ("key_1", "2026-11-22T03:00:00.000Z")
    assert listed["incident.answer MUSD"]["sentence"].endswith("The explanation: paid by hand")


async def test_a_viewer_reads_the_list_and_the_reason_why_an_approver_must_decide(service: Service) -> None:
    sweep_id = await propose_sweep(service, "ada")
    vera = await operator_client(service, "viewer", "vera")
    status, page = await vera.get("/approvals")
    row = next(row for row in page["data"] if row["subject"] == sweep_id)
    assert (status, row["mayApprove"], row["why"]) == (200, False, "It takes the role approver; you have viewer.")
    assert (await OperatorClient(service, None).get("/approvals"))[0] == 401


async def test_a_key_that_waits_is_confirmed_by_another_person(service: Service) -> None:
    _, eve = await operator_client(service, "approver", "otto"), await operator_client(service, "approver", "eve")
    async with service.database.write() as conn:
        new = await conn.execute(sa.select(api_key_secrets.c.key_id).order_by(api_key_secrets.c.created_at).limit(1))
        key_id = new.scalar_one()
        later = datetime.now(UTC) + timedelta(hours=3)
        await conn.execute(
            sa.update(api_key_secrets).where(api_key_secrets.c.key_id == key_id).values(active_from=later)
        )
    row = next(row for row in (await eve.get("/approvals"))[1]["data"] if row["action"] == "key.confirm")
    assert (row["subject"], row["mayApprove"]) == (key_id, True)
    assert row["sentence"].startswith("Let the key otto approver of otto work now, with the role approver.")


async def test_a_payout_held_for_screening_and_one_above_a_limit_wait_and_one_in_the_queue_does_not(
    service: Service,
) -> None:
    ada = await operator_client(service, "approver", "ada")
    payout_id = await owe_payout(service)
    before = {row["subject"] for row in (await ada.get("/approvals"))[1]["data"]}
    async with service.database.write() as conn:
        await payouts_service.move(conn, payout_id, OperationFact.APPROVAL_REQUIRED, now=NOW)
    after = {row["subject"]: row for row in (await ada.get("/approvals"))[1]["data"]}
    assert payout_id not in before
    assert after[payout_id]["action"] == "payout.approve"
