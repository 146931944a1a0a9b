"""The audit trail over real HTTP and in the database: who did what to a key, in which request, and that it cannot be rewritten."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from kit.db.database import Database
from onramp.auth.api_keys import service
from onramp.auth.api_keys.service import Author
from tests.support.api_keys import KEYS, RING, call, create_key


async def test_each_change_of_a_key_is_in_the_audit_trail(database: Database) -> None:
    from kit.audit import service as audit_service

    key_id, secret = await create_key(database, "operator", "otto")
    author = Author("key_admin", datetime.now(UTC), is_production=False)
    async with database.write() as conn:
        await service.rotate(conn, author, key_id, secret=service.new_secret(), ring=RING, overlap=timedelta(hours=1))
        await service.revoke(conn, author, key_id)
        await service.revoke(conn, author, key_id)
        entries = await audit_service.page(conn, limit=10, subject=key_id)
    assert [(entry.actor, entry.action) for entry in reversed(entries)] == [
        ("machine", "key.create"), ("key_admin", "key.rotate"), ("key_admin", "key.revoke")
    ]  # fmt: skip
    assert "ork_" not in str(entries)
    assert secret not in str(entries)


@pytest.mark.parametrize("statement", ["UPDATE audit_entries SET actor = 'x'", "DELETE FROM audit_entries"])
async def test_the_database_refuses_to_change_the_audit_trail(database: Database, statement: str) -> None:
    await create_key(database, "operator", "otto")
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        async with database.write() as conn:
            await conn.execute(sa.text(statement))


async def test_a_viewer_reads_the_audit_trail_page_by_page(service: Any) -> None:
    for person in ("a", "b", "c"):
        await create_key(service.database, "operator", person)
    _, viewer = await create_key(service.database, "viewer", "vera")
    path, seen = "/api/v1/treasury/audit?limit=3", []
    while path:
        status, page = await call(service, "GET", path, viewer)
        assert status == 200
        seen += page["data"]
        path = f"/api/v1/treasury/audit?limit=3&cursor={page['nextCursor']}" if page["nextCursor"] else ""
    assert [entry["after"]["person"] for entry in seen if entry["action"] != "settlement.recorded"] == [
        *("vera", "c", "b", "a"),
    ]
    assert {"at", "actor", "action", "subject", "before", "after", "requestId", "policyVersion"} <= set(seen[0])
    assert (await call(service, "GET", "/api/v1/treasury/audit?cursor=x", viewer))[0] == 422
    assert (await call(service, "GET", "/api/v1/treasury/audit", None))[0] == 401


async def test_an_audit_row_names_the_request_that_wrote_it(service: Any) -> None:
    _, admin = await create_key(service.database, "admin", "amir")
    headers = {"Authorization": f"Bearer {admin}", "X-Request-Id": "req_of_mine"}
    body = {"role": "viewer", "name": "wall"}
    async with service.http.post(service.api + KEYS, json=body, headers=headers) as answer:
        made = await answer.json()
    _, page = await call(service, "GET", f"/api/v1/treasury/audit?subject={made['id']}", admin)
    assert [entry["requestId"] for entry in page["data"]] == ["req_of_mine"]
