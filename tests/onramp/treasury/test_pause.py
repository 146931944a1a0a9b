"""Pauses over real HTTP: one person pauses, another resumes; every part shows what is paused."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from kit.audit.actor import Actor
from kit.audit.table import entries
from kit.db.database import Database
from kit.http.problems import Problem
from tests.support.operators import OperatorClient, make_key, operator_client
from tests.support.service import Service, Start
from treasury.pause import service as pause_service
from treasury.pause.service import StoredGate

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
QUOTE = "/api/v1/onramp/quotes?sourceAmount=100&sourceCurrency=usd"


async def quote(service: Service) -> tuple[int, Any]:
    async with service.http.get(service.api + QUOTE) as answer:
        return answer.status, (await answer.json(content_type=None)).get("code")


@pytest.mark.parametrize("scope", ["sales", "payouts", "all"])
async def test_paused_sales_are_503_at_create_and_quote_until_another_person_resumes(
    service: Service, scope: str
) -> None:
    otto, ada = await operator_client(service, "operator", "otto"), await operator_client(service, "approver", "ada")
    status, made = await service.create("a key that is long enough")
    assert status == 201
    assert (await quote(service))[0] == 200
    status, state = await otto.post("/pause", {"scope": scope, "note": "a wallet looks odd"})
    assert (status, state["sales"], state["payouts"]) == (200, True, scope != "sales")
    assert state["paused"][0]["note"] == "a wallet looks odd"

    before = await service.stored()
    status, problem = await service.create()
    assert (status, problem["code"]) == (503, "paused")
    assert await quote(service) == (503, "paused")
    assert await service.stored() == before
    status, again = await service.create("a key that is long enough")
    assert (status, again["id"]) == (201, made["id"]), "what was answered before a pause is answered again"

    status, state = await ada.post("/resume", {"note": "it was a test"})
    assert (status, state["sales"], state["payouts"], state["sweeps"], state["paused"]) == (
        200,
        False,
        False,
        False,
        [],
    )
    assert (await service.create())[0] == 201
    assert await quote(service) == (200, None)
    moves = [(line["scope"], line["from"], line["to"], line["note"]) for line in state["history"]]
    assert ("payouts" if scope == "all" else scope, "paused", "running", "it was a test") in moves


async def test_the_person_who_paused_cannot_resume_with_any_key(service: Service) -> None:
    ada, ada_too = await operator_client(service, "approver", "ada"), await operator_client(service, "approver", "ada")
    otto, eve = await operator_client(service, "operator", "otto"), await operator_client(service, "approver", "eve")
    assert (await ada.post("/pause"))[0] == 200
    assert (await otto.post("/pause", {"scope": "sales"}))[0] == 200, "the first person who paused stays recorded"
    for own in (ada, ada_too):
        status, problem = await own.post("/resume")
        assert (status, problem["code"]) == (409, "self_approval")
    assert (await eve.get("/pause"))[1]["sweeps"] is True
    assert (await otto.post("/resume"))[0] == 403
    assert (await eve.post("/resume"))[0] == 200
    assert (await eve.post("/resume"))[0] == 200, "nothing is left to resume, and nothing is wrong"
    async with service.database.read() as conn:
        rows = (await conn.execute(sa.select(entries).where(entries.c.action.like("treasury.%")))).fetchall()
    audited = [(row.action, row.subject, row.new_values["status"]) for row in rows]
    scopes = [f"pause_{scope}" for scope in ("sales", "payouts", "sweeps")]
    assert sorted(audited[:3]) == sorted(("treasury.pause", scope, "paused") for scope in scopes)
    assert sorted(audited[3:]) == sorted(("treasury.resume", scope, "running") for scope in scopes)


async def test_letting_payouts_go_does_not_let_go_sales_that_another_stopped(service: Service) -> None:
    otto, ada = await operator_client(service, "operator", "otto"), await operator_client(service, "approver", "ada")
    await otto.post("/pause", {"scope": "payouts"})
    await ada.post("/pause", {"scope": "sales"})
    status, state = await ada.post("/resume", {"scope": "payouts"})
    assert (status, state["sales"], state["payouts"]) == (200, True, False)
    status, state = await otto.post("/pause", {"scope": "payouts"})
    assert (await ada.post("/resume", {"scope": "sales"}))[1]["code"] == "self_approval"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/pause", {"scope": "everything"}, 422),
        ("/pause", {"scope": None}, 422),
        ("/pause", {"note": "x" * 501}, 422),
        ("/resume", {"note": 5}, 422),
        ("/resume", {"force": True}, 422),
        ("/pause", [], 422),
    ],
)
async def test_an_impossible_order_is_refused_and_nothing_stops(
    service: Service, path: str, body: Any, status: int
) -> None:
    ada = await operator_client(service, "approver", "ada")
    assert (await ada.post(path, body))[0] == status
    assert (await ada.get("/pause"))[1]["paused"] == []


async def test_viewers_and_admins_neither_pause_nor_resume(service: Service) -> None:
    vera, amir = await operator_client(service, "viewer", "vera"), await operator_client(service, "admin", "amir")
    for path in ("/pause", "/resume"):
        assert (await vera.post(path))[0] == 403
        assert (await amir.post(path))[0] == 403, "an admin moves no money and stops none"
        assert (await OperatorClient(service, None).post(path))[0] == 401
    assert (await OperatorClient(service, None).get("/pause"))[0] == 401
    assert (await vera.get("/pause"))[0] == 200


async def test_a_pause_is_a_line_of_ready_and_does_not_take_the_api_out(service: Service) -> None:
    secret = await make_key(service.database, "operator", "otto")
    await OperatorClient(service, secret).post("/pause", {"scope": "sweeps"})
    until = time.monotonic() + 60
    while True:
        headers = {"Authorization": f"Bearer {secret}"}
        async with service.http.get(f"{service.api}/ready", headers=headers) as answer:
            parts = {part["name"]: part for part in (await answer.json())["parts"]}
        if not parts["pause"]["ok"] and "sweeps since" in parts["pause"]["detail"]:
            break
        assert time.monotonic() < until
        await asyncio.sleep(0.2)


async def test_the_gate_follows_in_the_same_transaction(database: Database) -> None:
    gate = StoredGate()
    async with database.write() as conn:
        assert (await gate.payouts_allowed(conn), await gate.sweeps_allowed(conn)) == (True, True)
        await pause_service.pause(conn, ["payouts"], Actor("key_1", "otto"), note="", now=NOW)
        assert (await gate.payouts_allowed(conn), await gate.sweeps_allowed(conn)) == (False, True)
    async with database.write() as conn:
        with pytest.raises(Problem) as refused:
            await pause_service.resume(conn, ["payouts", "sweeps"], Actor("key_2", "otto"), note="", now=NOW)
        assert refused.value.code == "self_approval"
        state = await pause_service.resume(conn, ["payouts"], Actor("key_3", "ada"), note="", now=NOW)
        assert not state.ordered
        again = await pause_service.pause(conn, ["payouts", "sweeps"], Actor("key_3", "ada"), note="", now=NOW)
        assert (again.sales, again.payouts, again.sweeps) == (True, True, True)


async def test_an_api_whose_treasury_runs_elsewhere_is_ready_without_a_signer(start: Start, tmp_path: Path) -> None:
    # A signer is configured, and would fail: this process runs no treasury and must not even ask for it.
    service = await start(HOT_WALLET_KEYSTORE=tmp_path / "nowhere.json", HOT_WALLET_PASSWORD=SecretStr("x"))
    until = time.monotonic() + 60
    while True:
        async with service.http.get(f"{service.api}/ready") as answer:
            parts = {part["name"]: part for part in (await answer.json())["parts"]}
        if parts["signer"]["detail"] != "not checked yet":
            break
        assert time.monotonic() < until
        await asyncio.sleep(0.1)
    assert (parts["signer"]["ok"], parts["signer"]["detail"]) == (True, "not needed in this process")
