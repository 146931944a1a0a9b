"""The routes of outgoing webhooks: for admins alone, with audit entries, and a secret that is shown once."""

from typing import Any

import pytest
import sqlalchemy as sa

from kit.audit.table import entries
from tests.support.api_keys import call, create_key

BASE = "/api/v1/admin/webhooks"
URL = "http://127.0.0.1:9/hooks?token=very-secret"


class Admin:
    def __init__(self, service: Any, secret: str) -> None:
        self.service, self.secret = service, secret

    async def ask(self, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        return await call(self.service, method, BASE + path, self.secret, **({} if body is None else {"json": body}))

    async def create(self, url: str = URL, events: Any = ("*",), **more: Any) -> tuple[int, Any]:
        return await self.ask("POST", "", {"url": url, "events": list(events), **more})


@pytest.fixture
async def admin(service: Any) -> Admin:
    return Admin(service, (await create_key(service.database, "admin", "ada"))[1])


async def test_an_endpoint_from_its_creation_to_its_end(admin: Admin) -> None:
    status, created = await admin.create(events=["session.completed"])
    assert status == 201 and created["secret"].startswith("whsec_")
    path = f"/{created['id']}"
    shown = {name: value for name, value in created.items() if name != "secret"}
    assert await admin.ask("GET", path) == (200, shown)
    assert await admin.ask("GET") == (200, {"data": [shown], "nextCursor": None})
    status, changed = await admin.ask("PATCH", path, {"events": ["*"], "status": "disabled"})
    assert status == 200 and changed["events"] == ["*"] and changed["disabledReason"] == "by_hand"
    assert (await admin.ask("POST", path + "/test"))[1]["code"] == "webhook_disabled"
    status, changed = await admin.ask("PATCH", path, {"status": "enabled"})
    assert status == 200 and changed["disabledReason"] is None
    status, rotated = await admin.ask("POST", path + "/rotate", {"overlapSeconds": 0})
    assert status == 200 and rotated["secret"] != created["secret"]
    status, test = await admin.ask("POST", path + "/test")
    assert status == 201 and test["type"] == "webhook.test" and test["status"] == "pending"
    assert await admin.ask("GET", path + "/deliveries") == (200, {"data": [test], "nextCursor": None})
    assert (await admin.ask("GET", path + "/deliveries?status=failed"))[1]["data"] == []
    status, again = await admin.ask("POST", f"/deliveries/{test['id']}/redeliver")
    assert status == 200 and again["messageId"] == test["messageId"]
    assert await admin.ask("POST", path + "/recover", {"since": "2026-01-01T00:00:00Z"}) == (200, {"messages": 1})
    assert (await admin.ask("DELETE", path))[0] == 200
    assert (await admin.ask("GET", path))[0] == 404
    assert (await admin.ask("POST", f"/deliveries/{test['id']}/redeliver"))[0] == 404
    async with admin.service.database.read() as conn:
        rows = (await conn.execute(sa.select(entries).where(entries.c.subject == created["id"]))).fetchall()
    assert [row.action for row in rows] == [
        "webhook.create", "webhook.update", "webhook.update", "webhook.rotate", "webhook.redeliver", "webhook.recover", "webhook.delete",
    ]  # fmt: skip
    assert "very-secret" not in str(rows) and created["secret"] not in str(rows)


@pytest.mark.parametrize(
    "url", ["https://10.0.0.1/x", "https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]/", "ftp://shop.example/"]
)
async def test_an_address_that_is_not_public_is_refused(admin: Admin, url: str) -> None:
    status, problem = await admin.create(url)
    assert status == 422 and problem["code"] == "url_not_public" and problem["errors"][0]["pointer"] == "/url"
    _, created = await admin.create()
    assert (await admin.ask("PATCH", f"/{created['id']}", {"url": url}))[1]["code"] == "url_not_public"


@pytest.mark.parametrize(
    "events", [[], ["session.done"], ["*", "session.created"], ["session.created"] * 2, ["webhook.test"]]
)
async def test_unknown_and_repeated_events_are_refused(admin: Admin, events: list[str]) -> None:
    status, problem = await admin.create(events=events)
    assert status == 422 and problem["code"] == "validation_failed"


async def test_there_are_at_most_16_endpoints(admin: Admin) -> None:
    answers = [await admin.create() for _ in range(17)]
    assert [status for status, _ in answers] == [201] * 16 + [409]
    assert answers[-1][1]["code"] == "too_many_webhooks"


@pytest.mark.parametrize("role", ["viewer", "operator", "approver", "dapp"])
async def test_only_an_admin_may_read_or_change_endpoints(service: Any, role: Any) -> None:
    other = Admin(service, (await create_key(service.database, role, "eve"))[1])
    assert (await other.create())[0] == 403
    assert (await other.ask("GET"))[0] == 403


async def test_the_public_key_of_ed25519_is_shown(admin: Admin) -> None:
    _, created = await admin.create(ed25519=True)
    assert created["publicKey"].startswith("whpk_")
    _, rotated = await admin.ask("POST", f"/{created['id']}/rotate")
    assert rotated["publicKey"] != created["publicKey"]
