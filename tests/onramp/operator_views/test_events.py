"""Stripe's events are listed and replayed over HTTP, and notifications are listed."""

from datetime import UTC, datetime

import sqlalchemy as sa

from kit.audit.table import entries
from kit.db.database import Database
from kit.notices.targets import parse_targets
from onramp.notices import service as notices_service
from onramp.notices.model import NoticeKind
from onramp.webhooks.table import inbox
from tests.support.operators import API, OperatorClient, operator_client
from tests.support.service import Service
from tests.support.webhook_events import make_event, post_event, sign

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)


async def test_a_parked_event_is_listed_and_replayed_with_an_audit_row(service: Service) -> None:
    for body in (make_event(1), make_event(2), make_event(3, kind="account.updated")):
        await post_event(service, body, sign(body))
    async with service.database.write() as conn:
        await conn.execute(
            sa.update(inbox).where(inbox.c.id == "evt_1").values(state="parked", reason="Stripe unwell", tries=12)
        )
    vera, otto = (
        await operator_client(service, "viewer", "vera", API),
        await operator_client(service, "operator", "otto", API),
    )
    assert [row["id"] for row in (await vera.get("/events?status=parked"))[1]["data"]] == ["evt_1"]
    assert [row["id"] for row in (await vera.get("/events?type=account.updated"))[1]["data"]] == ["evt_3"]
    first = (await vera.get("/events?limit=2"))[1]
    rest = (await vera.get(f"/events?limit=2&cursor={first['nextCursor']}"))[1]
    assert {row["id"] for row in first["data"] + rest["data"]} == {"evt_1", "evt_2", "evt_3"}
    assert (await vera.post("/events/evt_1/replay"))[0] == 403
    status, event = await otto.post("/events/evt_1/replay")
    assert (status, event["status"], event["reason"], event["tries"]) == (200, "pending", None, 0)
    assert (await otto.post("/events/evt_1/replay"))[0] == 200, "it may be repeated"
    status, problem = await otto.post("/events/evt_3/replay")
    assert (status, problem["code"]) == (409, "not_possible")
    for unknown in ("evt_9", "x" * 300):
        assert (await otto.post(f"/events/{unknown}/replay"))[1]["code"] == "not_found"
    async with service.database.read() as conn:
        rows = list(
            await conn.execute(sa.select(entries).where(entries.c.action == "event.replay").order_by(entries.c.id))
        )
    assert [(row.subject, row.old_values["state"]) for row in rows] == [("evt_1", "parked"), ("evt_1", "pending")]


async def test_an_impossible_page_of_events_is_refused_by_name(service: Service) -> None:
    vera = await operator_client(service, "viewer", "vera", API)
    for path, pointer in (
        ("/events?status=lost", "/status"),
        ("/notices?status=lost", "/status"),
        ("/events?cursor=x", "/cursor"),
    ):
        status, problem = await vera.get(path)
        assert (status, [error["pointer"] for error in problem["errors"]]) == (422, [pointer])
    for path in ("/events", "/notices", "/nodes"):
        assert (await OperatorClient(service, None, API).get(path))[0] == 401


async def test_notifications_are_listed_with_what_became_of_them(service: Service) -> None:
    await plan(service.database)
    vera = await operator_client(service, "viewer", "vera", API)
    (notice,) = (await vera.get("/notices"))[1]["data"]
    assert (notice["name"], notice["kind"], notice["status"]) == ("delivery.overdue", "raised", "waiting")
    assert (notice["sentence"], notice["sessionId"]) == ("A buyer has paid.", "ons_1")
    assert (notice["target"].startswith("slack"), "hidden" in str(notice)) == (True, False)
    assert (await vera.get("/notices?status=sent"))[1]["data"] == []


async def plan(database: Database) -> None:
    targets = parse_targets("slack:https://hooks.example/hidden")
    async with database.write() as conn:
        await notices_service.plan(
            conn, targets, "alm_1", NoticeKind.RAISED, name="delivery.overdue", subject="ons_1", severity="page",
            content={"sentence": "A buyer has paid."}, now=NOW, session_id="ons_1",
        )  # fmt: skip


async def test_the_nodes_of_the_pool_are_listed_by_name_and_never_by_url(service: Service) -> None:
    status, nodes = await (await operator_client(service, "viewer", "vera", API)).get("/nodes")
    assert (status, nodes["agreedHead"], nodes["agreement"], nodes["providers"]) == (200, None, 2, 2)
    assert [(node["name"], node["operator"], node["disagreements"]) for node in nodes["data"]] == [
        ("a", "a", []),
        ("b", "b", []),
    ]
    assert "127.0.0.1" not in str(nodes)
