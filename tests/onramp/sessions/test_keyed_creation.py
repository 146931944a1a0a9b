"""SESSION_CREATION: open, anyone starts purchases; keyed, only a server with an API key does, and the browser follows them."""

from typing import Any

import pytest

from onramp.auth.roles import Role
from tests.support.api_keys import call, create_key
from tests.support.service import Service, Start

SESSIONS = "/api/v1/onramp/sessions"
BODY = {
    "walletAddress": "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955",
    "sourceAmount": "100",
    "sourceCurrency": "usd",
    "reference": "order-1",
}


@pytest.fixture
async def keyed(start: Start, database_url: str) -> Service:
    return await start(url=database_url, SESSION_CREATION="keyed")


async def create(service: Service, key: str | None, **more: Any) -> tuple[int, dict[str, Any]]:
    return await call(service, "POST", SESSIONS, key, json=BODY, **more)


@pytest.mark.parametrize("key", [None, "ork_" + "a" * 52, "eyJhbGciOiJub25lIn0.eyJzdWIiOiIweCJ9."])
async def test_a_keyed_service_called_without_a_valid_key_refuses_and_stores_nothing(
    keyed: Service, key: str | None
) -> None:
    status, problem = await create(keyed, key)
    assert (status, problem["code"]) == (401, "unauthorized")
    assert (await keyed.create())[0] == 401
    assert (await call(keyed, "POST", SESSIONS, key, json={"not": "valid"}))[0] == 401, "before the body is read"
    assert await keyed.stored() == 0
    assert len(keyed.sandbox.store.sessions) == 0


@pytest.mark.parametrize(("role", "expected"), [("dapp", 201), ("operator", 201), ("approver", 201), ("viewer", 403), ("admin", 403)])  # fmt: skip
async def test_the_roles_that_create(keyed: Service, role: Role, expected: int) -> None:
    _, key = await create_key(keyed.database, role, "dana")
    status, answer = await create(keyed, key)
    assert status == expected, answer
    assert await keyed.stored() == (1 if expected == 201 else 0)
    if expected == 403:
        assert answer["code"] == "forbidden"


async def test_the_browser_follows_a_purchase_without_a_key(keyed: Service) -> None:
    _, key = await create_key(keyed.database, "dapp", "dana")
    _, created = await create(keyed, key)
    assert created["clientSecret"]
    for path in ("", "/delivery", "/receipt"):
        assert (await call(keyed, "GET", f"{SESSIONS}/{created['id']}{path}"))[0] == 200
    async with keyed.http.get(f"{keyed.api}{SESSIONS}/{created['id']}/events") as stream:
        assert stream.status == 200
    async with keyed.http.get(f"{keyed.api}/api/v1/onramp/config") as response:
        assert (await response.json())["sessionCreation"] == "keyed"


async def test_a_dapps_key_does_nothing_else(keyed: Service) -> None:
    _, key = await create_key(keyed.database, "dapp", "dana")
    for method, path in (
        ("GET", "/api/v1/treasury/balances"),
        ("POST", "/api/v1/treasury/pause"),
        ("GET", "/api/v1/admin/keys"),
        ("GET", "/api/v1/keys/me"),
        ("POST", f"{SESSIONS}/ons_x/verify"),
    ):
        status, problem = await call(keyed, method, path, key, json={} if method == "POST" else None)
        assert (status, problem["code"]) == (403, "forbidden"), path


async def test_a_revoked_dapp_key_creates_nothing(keyed: Service) -> None:
    key_id, key = await create_key(keyed.database, "dapp", "dana")
    _, admin = await create_key(keyed.database, "admin", "amir")
    assert (await call(keyed, "POST", f"/api/v1/admin/keys/{key_id}/revoke", admin))[0] == 200
    assert (await create(keyed, key))[0] == 401


async def test_a_key_that_creates_has_the_limit_of_all_buyers_together(start: Start) -> None:
    service = await start(SESSION_CREATION="keyed", RATE_LIMIT_CREATE="2/hour", RATE_LIMIT_CREATE_TOTAL="4/hour")
    _, first = await create_key(service.database, "dapp", "dana")
    _, second = await create_key(service.database, "dapp", "dora")
    assert [(await create(service, first))[0] for _ in range(5)] == [201, 201, 201, 201, 429]
    assert (await create(service, second))[0] == 201, "each key is counted by itself"


async def test_an_open_service_needs_no_key_and_looks_at_none(start: Start) -> None:
    service = await start()
    for key in (None, "ork_" + "a" * 52):
        assert (await create(service, key))[0] == 201


async def test_the_documents_of_a_keyed_service_say_who_creates(keyed: Service) -> None:
    async with keyed.http.get(f"{keyed.api}/openapi.json") as response:
        operation = (await response.json())["paths"][SESSIONS]["post"]
    assert operation["security"] == [{"operator": ["dapp"]}]
    assert {"401", "403"} <= set(operation["responses"])
