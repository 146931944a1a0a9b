"""Policies that must be refused, over real HTTP: each refusal has its code, is in the audit trail, and leaves the active policy unchanged."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kit.audit.table import entries
from onramp.bootstrap.errors import StartError
from tests.support.operators import OperatorClient, operator_client
from tests.support.service import HOT_WALLET, Service, Start
from treasury.policy.parser import DEVELOPMENT
from treasury.policy.table import policies

LOOSER = DEVELOPMENT.replace('max_per_day = "100000"', 'max_per_day = "200000"', 1)
BROKEN = DEVELOPMENT.replace('max_per_day = "100000"', 'max_per_day = "lots"', 1).replace(
    'floor = "5000"', 'floor = "-1"'
).replace("every_minutes = 0", 'every_minutes = 0\ntip = "1"')  # fmt: skip
WRONG = ("line 4: payouts.max_per_day", "line 12: sweeps.tip", "line 14: assets.MUSD.floor")
"""Each problem with its place in the file."""


@dataclass(frozen=True, slots=True)
class Office:
    """A service that reads its policy from a file, and two persons who may loosen it."""

    service: Service
    file: Path
    ada: OperatorClient
    eve: OperatorClient

    async def loosened(self) -> str:
        """Propose a version as Ada; no other person has approved it."""
        self.file.write_text(LOOSER)
        status, version = await self.ada.post("/policy/apply")
        assert (status, version["status"], version["loosens"]) == (200, "proposed", ["payouts.max_per_day"])
        return str(version["id"])

    async def refused(self, who: OperatorClient, path: str, code: str, *texts: str) -> None:
        """Assert that the request is refused, version 1 stays active, and the last audit row is the attempt."""
        status, problem = await who.post(path)
        assert (status, problem["code"]) == (409, code), problem
        assert [part for part in texts if part not in problem["detail"]] == []
        shown = (await who.get("/policy"))[1]["active"]
        assert (shown["version"], shown["payouts"]["maxPerDay"]) == (1, "100000.00")
        async with self.service.database.read() as conn:
            last = (await conn.execute(sa.select(entries).order_by(entries.c.id.desc()).limit(1))).one()
        assert (last.action.endswith("_refused"), last.new_values) == (True, {"code": code})


@pytest.fixture
async def office(start: Start, tmp_path: Path) -> Office:
    file = tmp_path / "treasury.toml"
    file.write_text(DEVELOPMENT)
    service = await start(TREASURY_POLICY=file)
    return Office(
        service,
        file,
        await operator_client(service, "approver", "ada"),
        await operator_client(service, "approver", "eve"),
    )


async def test_a_file_that_was_broken_meanwhile_is_refused_with_every_line(office: Office) -> None:
    office.file.write_text(BROKEN)
    await office.refused(office.ada, "/policy/apply", "policy_refused", *WRONG)
    office.file.write_bytes(b"\xff\xfe")
    await office.refused(office.ada, "/policy/apply", "policy_refused", "UTF-8")
    office.file.write_text("[payouts\n")
    await office.refused(office.ada, "/policy/apply", "policy_refused", "not valid TOML")


@pytest.mark.parametrize("wallet", [HOT_WALLET, ""])
async def test_a_broken_policy_file_stops_the_start_and_every_faulty_line_is_named(
    start: Start, tmp_path: Path, wallet: str
) -> None:
    file = tmp_path / "treasury.toml"
    file.write_text(BROKEN)
    with pytest.raises(StartError) as refused:
        await start(TREASURY_POLICY=file, HOT_WALLET_ADDRESS=wallet)
    assert [part for part in WRONG if part not in str(refused.value)] == []
    file.write_text(DEVELOPMENT)
    with pytest.raises(StartError) as refused:
        await start(TREASURY_POLICY=file, HOT_WALLET_ADDRESS=wallet, SESSION_MAX_AMOUNT="20001")
    limits = ("payouts.max_per_transaction", "assets.MUSD.ceiling")
    assert [part for part in limits if f"SESSION_MAX_AMOUNT is above {part}" not in str(refused.value)] == []


async def test_the_proposer_of_a_policy_cannot_approve_it(office: Office) -> None:
    version = await office.loosened()
    too = await operator_client(office.service, "approver", "ada")
    for who in (office.ada, too):
        await office.refused(who, f"/policy/{version}/approve", "self_approval", "another approver")
    status, again = await too.post("/policy/apply")
    assert (status, again["id"], again["status"]) == (200, version, "proposed"), "asked again, by the same person"
    status, counts = await office.eve.post(f"/policy/{version}/approve")
    assert (status, counts["status"]) == (200, "active")


async def age(office: Office, version: str) -> None:
    """Make the version three days old."""
    async with office.service.database.write() as conn:
        since = (await conn.execute(sa.select(policies.c.created_at).where(policies.c.id == version))).scalar_one()
        old = sa.update(policies).where(policies.c.id == version).values(created_at=since - timedelta(hours=72))
        await conn.execute(old)


async def test_a_yes_that_comes_after_days_closes_what_it_was_meant_for(office: Office) -> None:
    version = await office.loosened()
    await age(office, version)
    await office.refused(office.eve, f"/policy/{version}/approve", "policy_refused", "too long ago")
    shown = (await office.eve.get("/policy"))[1]["versions"]
    assert [(one["id"], one["status"]) for one in shown if one["version"] == 2] == [(version, "superseded")]
    await office.refused(office.eve, f"/policy/{version}/approve", "not_possible", "superseded")
    fresh = await office.loosened()
    assert (await office.eve.post(f"/policy/{fresh}/approve"))[1]["status"] == "active"


async def test_a_repeated_proposal_after_days_counts_as_a_new_one(office: Office) -> None:
    version = await office.loosened()
    await age(office, version)
    status, fresh = await office.eve.post("/policy/apply")
    assert (status, fresh["status"], fresh["version"]) == (200, "proposed", 3)
    await office.refused(office.eve, f"/policy/{fresh['id']}/approve", "self_approval")
    assert (await office.ada.post(f"/policy/{fresh['id']}/approve"))[1]["status"] == "active"


async def test_a_rejected_proposal_cannot_be_approved(office: Office) -> None:
    version = await office.loosened()
    assert (await office.eve.post(f"/policy/{version}/reject"))[1]["status"] == "rejected"
    await office.refused(office.eve, f"/policy/{version}/approve", "not_possible", "rejected")
    await office.refused(office.eve, f"/policy/{version}/reject", "not_possible", "rejected")


async def test_a_superseded_version_cannot_be_approved(office: Office) -> None:
    """Ada proposes a higher daily limit; the file is restored before Eve approves, so her approval would be of a withdrawn proposal."""
    version = await office.loosened()
    office.file.write_text(DEVELOPMENT)
    status, active = await office.ada.post("/policy/apply")
    assert (status, active["version"], active["status"]) == (200, 1, "active")
    await office.refused(office.eve, f"/policy/{version}/approve", "not_possible", "superseded")


@pytest.mark.parametrize("path", ["/policy/pol_unknown/approve", "/policy/pol_unknown/reject"])
async def test_a_version_that_is_not_there_is_404(office: Office, path: str) -> None:
    body: dict[str, Any] = {"note": "x"}
    status, problem = await office.ada.post(path, body)
    assert (status, problem["code"]) == (404, "not_found")
