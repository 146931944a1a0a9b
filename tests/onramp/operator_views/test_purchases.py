"""Operators list purchases by the status that people see, and read one with everything that is stored about it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from kit.db.database import Database
from onramp.sessions import purchase_list
from onramp.sessions.status import SessionStatus
from onramp.sessions.table import sessions
from tests.support.operators import API, OperatorClient, operator_client
from tests.support.paid_sessions import insert_paid_sessions
from tests.support.purchases import BUYER, OTHER
from tests.support.service import Service
from tests.support.service_payouts import owe_payout
from tests.support.webhook_events import make_event, post_event, sign

STATES: dict[str, dict[str, Any]] = {
    "ons_new": {"payment_status": "requires_payment"},
    "ons_processing": {"payment_status": "fulfillment_processing"},
    "ons_delivering": {},
    "ons_done": {"delivery_status": "confirmed", "overdue": True},
    "ons_rejected": {"payment_status": "rejected"},
    "ons_expired": {"payment_status": "expired"},
    "ons_late": {"overdue": True},
    "ons_wrong": {"delivery_status": "mismatch"},
    "ons_odd": {"payment_status": "rejected", "attention": "Stripe says something else."},
}


async def test_each_purchase_is_listed_under_the_status_that_it_shows(database: Database) -> None:
    await insert_paid_sessions(database, *((session, BUYER, 5) for session in STATES))
    async with database.write() as conn:
        for session, values in STATES.items():
            if values:
                await conn.execute(sa.update(sessions).where(sessions.c.id == session).values(**values))
    async with database.read() as conn:
        everything = {row.id: row.status for row in await purchase_list.page(conn, 50)}
        listed = {
            row.id: status for status in SessionStatus for row in await purchase_list.page(conn, 50, status=status)
        }
    assert listed == everything
    assert set(everything.values()) == set(SessionStatus)


async def test_a_list_is_filtered_by_wallet_and_time_and_paged(service: Service) -> None:
    await insert_paid_sessions(
        service.database, *((f"ons_{number}", BUYER, 5) for number in range(5)), ("ons_x", OTHER, 5)
    )
    start = datetime(2026, 11, 1, tzinfo=UTC)
    async with service.database.write() as conn:
        for number in range(5):
            made = {"created_at": start + timedelta(days=number)}
            await conn.execute(sa.update(sessions).where(sessions.c.id == f"ons_{number}").values(**made))
    vera = await operator_client(service, "viewer", "vera", API)

    async def ids(query: str) -> list[str]:
        status, page = await vera.get(f"/purchases?{query}")
        assert status == 200, page
        return [row["id"] for row in page["data"]]

    assert await ids(f"wallet={BUYER.lower()}") == ["ons_4", "ons_3", "ons_2", "ons_1", "ons_0"]
    assert await ids("from=2026-11-02T00:00:00Z&to=2026-11-04T02:00:00%2B02:00") == ["ons_2", "ons_1"]
    assert await ids(f"status=delivering&wallet={OTHER}") == ["ons_x"]
    first = (await vera.get(f"/purchases?wallet={BUYER}&limit=2"))[1]
    assert await ids(f"wallet={BUYER}&limit=2&cursor={first['nextCursor']}") == ["ons_2", "ons_1"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("status=paid", "/status"),
        ("wallet=0x12", "/wallet"),
        ("wallet=0x14dC79964da2C08b23698B3D3cc7Ca32193d995F", "/wallet"),
        ("from=yesterday", "/from"),
        ("to=2026-11-02T00:00:00", "/to"),
        ("from=0001-01-01T00:00:00%2B14:00", "/from"),
        ("limit=0", "/limit"),
    ],
)
async def test_an_impossible_filter_is_refused_by_name(service: Service, query: str, pointer: str) -> None:
    vera = await operator_client(service, "viewer", "vera", API)
    status, problem = await vera.get(f"/purchases?{query}")
    assert (status, [error["pointer"] for error in problem["errors"]]) == (422, [pointer])


async def test_a_purchase_is_shown_with_everything_that_is_stored_about_it(service: Service) -> None:
    await insert_paid_sessions(service.database, ("ons_1", BUYER, 5))
    async with service.database.write() as conn:
        await conn.execute(sa.update(sessions).where(sessions.c.id == "ons_1").values(stripe_session_id="cos_1"))
    payout_id = await owe_payout(service)
    body = make_event(1, status="fulfillment_complete")
    assert (await post_event(service, body, sign(body)))[0] == 200
    vera = await operator_client(service, "viewer", "vera", API)
    status, purchase = await vera.get("/purchases/ons_1")
    assert (status, purchase["session"]["id"], purchase["payout"]["id"]) == (200, "ons_1", payout_id)
    assert purchase["payout"]["history"][0]["to"] == "planned"
    (event,) = purchase["events"]
    assert (event["id"], event["status"], event["replayable"]) == ("evt_1", "pending", True)
    moments = [moment["event"] for moment in purchase["timeline"]]
    assert {"created", "paid", "payout.planned", "stripe.event"} <= set(moments)
    assert [moment["at"] for moment in purchase["timeline"]] == sorted(moment["at"] for moment in purchase["timeline"])
    assert (purchase["webhooks"], purchase["notices"], purchase["mails"]) == ([], [], [])


@pytest.mark.parametrize("session_id", ["ons_unknown", "x" * 300, "%00"])
async def test_an_unknown_purchase_is_404(service: Service, session_id: str) -> None:
    vera = await operator_client(service, "viewer", "vera", API)
    status, problem = await vera.get(f"/purchases/{session_id}")
    assert (status, problem["code"]) == (404, "not_found")
    assert (await OperatorClient(service, None, API).get("/purchases/ons_1"))[0] == 401
