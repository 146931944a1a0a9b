"""Alarms end when their rows show that the cause is over, also if no code clears them; persons acknowledge them over HTTP."""

from typing import Any

import pytest
import sqlalchemy as sa

from kit.alarms import service as alarms_service
from kit.db.database import Database
from onramp.alarms.endings import end_what_is_over
from tests.support.clocks import ManualClock
from tests.support.operators import make_key
from tests.support.service import Service
from treasury.settlements.table import settlements


async def _end(database: Database, clock: ManualClock) -> list[str]:
    async with database.write() as conn:
        active = await alarms_service.list_active(conn)
        return [alarm.name for alarm in await end_what_is_over(conn, active, clock.now())]


async def test_an_alarm_lasts_as_long_as_its_row_says(database: Database) -> None:
    clock = ManualClock()
    row = {
        "id": "stl_1", "tx_hash": "0x1", "amount": 1, "status": "settled", "verified": False, "contradiction": "gone",
        "asked_by": "key_1", "asked_person": "ada", "created_at": clock.now(), "updated_at": clock.now(),
    }  # fmt: skip
    async with database.write() as conn:
        await conn.execute(sa.insert(settlements).values(row))
        for name in ("treasury.usdc_contradicted", "treasury.usdc_settled_unverified"):
            await alarms_service.raise_in(conn, name, "stl_1", clock.now())
        await alarms_service.raise_in(conn, "treasury.payout_insufficient", "pay_unknown", clock.now())
    clock.advance(60)
    assert await _end(database, clock) == []
    async with database.write() as conn:
        await conn.execute(sa.update(settlements).values(contradiction=None))
    assert await _end(database, clock) == ["treasury.usdc_contradicted"]
    async with database.write() as conn:
        await conn.execute(sa.update(settlements).values(verified=True))
    assert await _end(database, clock) == ["treasury.usdc_settled_unverified"]


@pytest.mark.parametrize("name", ["delivery.mismatch", "delivery.overdue"])
async def test_an_operator_acknowledges_an_alarm(service: Service, name: str) -> None:
    async with service.database.write() as conn:
        await alarms_service.raise_in(conn, name, "ons_1", ManualClock().now(), session="ons_1")
    headers = {
        role: {"Authorization": f"Bearer {await make_key(service.database, role, role)}"}
        for role in ("viewer", "operator")
    }

    async def ask(method: str, path: str, role: str) -> tuple[int, dict[str, Any]]:
        url = f"{service.api}/api/v1/alarms{path}"
        async with service.http.request(method, url, headers=headers[role]) as answer:
            return answer.status, await answer.json(content_type=None)

    status, page = await ask("GET", "", "viewer")
    (alarm,) = page["data"]
    assert (status, alarm["command"]) == (200, "onramp sessions show ons_1")
    path = f"/{alarm['id']}/acknowledge"
    assert (await ask("POST", path, "viewer"))[0] == 403
    assert (await ask("POST", "/alm_unknown/acknowledge", "operator"))[0] == 404
    status, acknowledged = await ask("POST", path, "operator")
    assert status == 200 and acknowledged["acknowledgedBy"]
    is_event = name == "delivery.mismatch"
    assert (acknowledged["endedAt"] is not None) == is_event
    assert (await ask("POST", path, "operator"))[0] == (409 if is_event else 200)
    status, page = await ask("GET", "?active=false&limit=1", "viewer")
    assert (status, len(page["data"])) == (200, 1)
