"""Each route with each role: the running service does what the route table says."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from kit.clock import SystemClock
from kit.crypto.keyring import KeyRing
from kit.db.database import Database
from kit.http.routing import Route
from kit.ids import RandomIds
from onramp.auth.api_keys import service
from onramp.auth.api_keys.service import Author
from onramp.auth.roles import ALLOWED_ROLES, CALLERS, KEY_ROLES, may_call
from onramp.auth.wallets.tokens import Tokens
from onramp.bootstrap.app import routes
from onramp.cli import app
from onramp.config.fields import DEVELOPMENT_KEY
from onramp.config.loader import load

JWT_SECRET = bytes(range(32))
TABLE = routes(load())
STRANGERS = {
    "nobody": None,
    "an unknown key": "Bearer ork_" + "a" * 52,
    "a token without a valid signature": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIweCJ9.",
    "no bearer": "Basic YTpi",
}


async def keys_of(database: Database) -> dict[str, str]:
    secrets = {role: service.new_secret() for role in KEY_ROLES}
    author = Author("machine", datetime.now(UTC), is_production=False)
    async with database.write() as conn:
        for role, secret in secrets.items():
            await service.create(
                conn, author, key_id=RandomIds().new("key_"), secret=secret, ring=KeyRing([DEVELOPMENT_KEY], "onramp"),
                role=role, name=role, person=role,
            )  # fmt: skip
    clock = SystemClock()
    token, _ = Tokens(database, [JWT_SECRET], 31611, clock).sign("0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", 0)
    return {role: f"Bearer {secret}" for role, secret in (secrets | {"wallet": token}).items()}


async def knock(service: Any, route: Route, credential: str | None) -> int:
    path = re.sub(r"{[^}]+}", "nothing_of_that_name", route.path)
    headers = {"Authorization": credential} if credential is not None else {}
    async with service.http.request(route.method, service.api + path, headers=headers) as answer:
        return int(answer.status)


async def test_every_route_accepts_exactly_the_roles_of_its_table(start: Any) -> None:
    service = await start(
        JWT_SECRETS=SecretStr(JWT_SECRET.hex()), RATE_LIMIT_AUTH="", RATE_LIMIT_READ="", RATE_LIMIT_CREATE=""
    )
    credentials = await keys_of(service.database)
    wrong = []
    for route in sorted(TABLE, key=lambda route: route.name == "logout"):  # it ends the wallet's token: last
        for role, credential in credentials.items():
            status = await knock(service, route, credential)
            expected = status not in {401, 403} if may_call(route.access, role) else status == 403
            if not expected or status == 500:
                wrong.append((route.method, route.path, role, status))
        for stranger, shown in STRANGERS.items():
            status = await knock(service, route, shown)
            expected = status not in {401, 403} if may_call(route.access, "anonymous") else status == 401
            if not expected or status == 500:
                wrong.append((route.method, route.path, stranger, status))
    assert wrong == []


def test_the_roles_are_ordered_and_an_admin_moves_no_money() -> None:
    assert ALLOWED_ROLES["approver"] < ALLOWED_ROLES["operator"] < ALLOWED_ROLES["viewer"]
    assert ALLOWED_ROLES["admin"] == {"admin"}
    assert "admin" not in ALLOWED_ROLES["operator"]
    assert {who for who, roles in ALLOWED_ROLES.items() if "wallet" in roles} == {"wallet", "purchases"}


def test_the_server_of_a_dapp_creates_and_lists_purchases_and_nothing_else() -> None:
    assert {who for who, roles in ALLOWED_ROLES.items() if "dapp" in roles} == {"dapp", "purchases"}
    keyed = routes(load(SESSION_CREATION="keyed"))
    open_to_dapps = {f"{route.method} {route.path}" for route in keyed if route.access in {"dapp", "purchases"}}
    assert open_to_dapps == {"POST /api/v1/onramp/sessions", "GET /api/v1/onramp/sessions"}


OPEN = {
    "GET /", "POST /api/v1/onramp/sessions", "GET /api/v1/onramp/sessions/{id}", "GET /api/v1/onramp/sessions/{id}/events",
    "GET /api/v1/onramp/sessions/{id}/delivery", "GET /api/v1/onramp/sessions/{id}/receipt", "GET /api/v1/onramp/quotes",
    "POST /api/v1/auth/nonce", "POST /api/v1/auth/login", "POST /api/v1/invitations/accept", "GET /invitation",
    "GET /invitation/page.js",
    "GET /health", "GET /ready", "GET /api/health", "GET /openapi.json", "GET /docs", "GET /docs/docs.css", "GET /docs/{file:.+}", "GET /llms.txt",
    "GET /checkout", "GET /checkout/s/{id}", "GET /checkout/{file:.+}", "GET /api/v1/onramp/config",
    "GET /client/{file:.+}", "GET /api/v1/console/config", "POST /api/v1/console/sessions",
}  # fmt: skip
OF_WALLETS = {
    "POST /api/v1/onramp/sessions/{id}/verify", "POST /api/v1/auth/logout",
}  # fmt: skip


def test_exactly_these_routes_are_open_to_anyone_and_these_to_wallets() -> None:
    of: dict[str, set[str]] = {}
    for route in TABLE:
        of.setdefault(route.access, set()).add(f"{route.method} {route.path}")
    assert (of["anyone"], of["wallet"]) == (OPEN, OF_WALLETS)
    assert of["stripe"] == {"POST /api/v1/webhooks/stripe"} and of["metrics"] == {"GET /metrics"}


@pytest.mark.parametrize("route", TABLE, ids=lambda route: f"{route.method} {route.path}")
def test_restricted_routes_of_the_interface_are_open_to_no_other_role(route: Route) -> None:
    if route.path.startswith("/api/v1/admin/"):
        assert route.access == ("approver" if route.path.endswith("/confirm") else "admin")
    elif route.path.startswith("/api/v1/treasury/"):
        last = route.path.rsplit("/", 1)[1]
        if route.method == "GET":
            assert route.access == "viewer"
        elif last in {"approve", "reject", "retry", "settle", "resume"} and "/settle-usdc/" not in route.path:
            assert route.access == "approver"
        else:
            assert route.access in {"operator", "approver"}


async def test_the_documentation_shows_the_table_that_serves(service: Any) -> None:
    async with service.http.get(f"{service.api}/docs") as answer:
        text = await answer.text()
    for route in TABLE:
        cells = "".join(f"<td>{'yes' if may_call(route.access, name) else ''}</td>" for name in CALLERS)
        assert f"<tr><td><code>{route.method} {route.path}</code></td>{cells}</tr>" in text


def test_the_command_shows_the_table_that_serves() -> None:
    shown = CliRunner().invoke(app, ["routes", "--json"])
    assert json.loads(shown.stdout) == [
        {"method": route.method, "path": route.path, "who": [name for name in CALLERS if may_call(route.access, name)]}
        for route in TABLE
    ]
    for_people = CliRunner().invoke(app, ["routes"]).stdout
    assert all(f"{route.method} {route.path}" in for_people for route in TABLE)
