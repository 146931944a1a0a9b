"""Invitations over real HTTP and from the command line: a link yields its key once, and never again."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa

from kit.audit import service as audit_service
from kit.db.database import Database
from kit.http.problems import Problem
from kit.logs import redact
from onramp.auth.api_keys import service as api_keys_service
from onramp.auth.api_keys.service import Author
from onramp.auth.invitations import service
from onramp.auth.invitations.routes import base_of
from onramp.auth.invitations.table import invitations
from onramp.config.loader import load
from tests.support.api_keys import RING, call, create_key
from tests.support.command_line import run_onramp

INVITATIONS = "/api/v1/admin/invitations"
ACCEPT = "/api/v1/invitations/accept"


async def admin_of(database: Database) -> str:
    """Return the secret of a new key of an admin."""
    return (await create_key(database, "admin", "amir"))[1]


async def test_a_link_yields_its_key_once(service: Any) -> None:
    admin = await admin_of(service.database)
    status, made = await call(
        service, "POST", INVITATIONS, admin, json={"role": "operator", "name": "desk", "person": "otto"}
    )
    assert status == 201
    base, _, token = made["link"].partition("#")
    assert base == f"{service.api}/invitation"
    assert token not in redact(f"GET {made['link']}")
    _, page = await call(service, "GET", INVITATIONS, admin)
    assert [(item["id"], item["status"]) for item in page["data"]] == [(made["id"], "open")]
    assert token not in str(page)

    answers = await asyncio.gather(*(call(service, "POST", ACCEPT, json={"token": token}) for _ in range(5)))
    (key,) = [body for status, body in answers if status == 201]
    assert {body["code"] for status, body in answers if status != 201} == {"invitation_invalid"}
    assert (key["role"], key["person"]) == ("operator", "otto")
    assert (await call(service, "GET", "/api/v1/keys/me", key["secret"]))[1]["id"] == key["id"]
    _, page = await call(service, "GET", INVITATIONS, admin)
    assert [(item["status"], item["keyId"]) for item in page["data"]] == [("accepted", key["id"])]
    async with service.database.read() as conn:
        entries = await audit_service.page(conn, limit=2)
    assert (entries[0].actor, entries[0].action) == (made["id"], "key.create")
    assert token not in str(entries)


async def test_a_withdrawn_an_expired_and_an_unknown_link_say_the_same(service: Any) -> None:
    admin = await admin_of(service.database)
    links = [
        (await call(service, "POST", INVITATIONS, admin, json={"role": "viewer", "name": "x"}))[1] for _ in range(2)
    ]
    status, withdrawn = await call(service, "DELETE", f"{INVITATIONS}/{links[0]['id']}", admin)
    assert (status, withdrawn["status"]) == (200, "withdrawn")
    async with service.database.write() as conn:
        await conn.execute(
            sa.update(invitations)
            .where(invitations.c.id == links[1]["id"])
            .values(expires_at=datetime.now(UTC) - timedelta(seconds=1))
        )
    tokens = [link["link"].partition("#")[2] for link in links]
    answers = [await call(service, "POST", ACCEPT, json={"token": token}) for token in [*tokens, service_token()]]
    assert {status for status, _ in answers} == {404}
    assert len({body["detail"] for _, body in answers}) == 1
    assert (await call(service, "DELETE", f"{INVITATIONS}/inv_unknown", admin))[0] == 404


def service_token() -> str:
    return service.new_token()


async def test_an_invited_key_that_moves_money_waits_in_production_like_any_other(database: Database) -> None:
    token, secret, now = service.new_token(), api_keys_service.new_secret(), datetime.now(UTC)
    author = Author("key_admin", now, is_production=True)
    async with database.write() as conn:
        for person in ("a", "b"):
            await api_keys_service.create(
                conn, author, key_id=f"key_{person}", secret=api_keys_service.new_secret(), ring=RING, role="approver",
                name=person, person=person,
            )  # fmt: skip
        await service.invite(
            conn, author, invitation_id="inv_1", token=token, ring=RING, role="approver", name="eve",
            person="eve", valid_for=timedelta(hours=1),
        )  # fmt: skip
        key = await service.accept(
            conn, token=token, ring=RING, key_id="key_eve", secret=secret, now=now, is_production=True
        )
        assert key.active_from - now == api_keys_service.WAIT
        with pytest.raises(Problem):
            await service.accept(
                conn, token=token, ring=RING, key_id="key_2", secret=secret, now=now, is_production=True
            )


async def test_the_page_behind_the_link_runs_only_its_own_script(service: Any) -> None:
    async with service.http.get(f"{service.api}/invitation") as answer:
        assert answer.status == 200
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "<script src=" in await answer.text()
        assert answer.headers["X-Frame-Options"] == "DENY"


async def onramp(service: Any, url: str, *arguments: str, key: str = "") -> tuple[int, str, str]:
    environment = {
        "PATH": os.environ["PATH"], "DATABASE_URL": url, "ONRAMP_API_URL": service.api, "ONRAMP_API_KEY": key,
    }  # fmt: skip
    done = await asyncio.to_thread(run_onramp, environment, *arguments)
    return done.returncode, done.stdout, done.stderr


async def test_invited_enrolled_and_confirming_from_the_command_line(service: Any, sqlite_url: str) -> None:
    status, out, err = await onramp(
        service, sqlite_url, "keys", "invite", "--role", "approver", "--name", "Ada", "--person", "ada", "--json"
    )
    assert status == 0, err
    status, out, err = await onramp(service, sqlite_url, "keys", "accept", json.loads(out)["link"], "--json")
    assert status == 0, err
    ada = json.loads(out)["secret"]
    _, out, _ = await onramp(service, sqlite_url, "keys", "invite", "--role", "admin", "--name", "a thief", "--json")
    unwanted = json.loads(out)
    status, out, err = await onramp(service, sqlite_url, "keys", "withdraw", unwanted["id"])
    assert (status, "gives no key" in out) == (0, True), err
    body = {"token": unwanted["link"].partition("#")[2]}
    status, refused = await call(service, "POST", ACCEPT, "", json=body)
    assert (status, refused["code"]) == (404, "invitation_invalid")

    _, begun = await call(service, "POST", "/api/v1/keys/me/otp", ada)
    totp = pyotp.TOTP(begun["secret"])
    status, _, err = await onramp(service, sqlite_url, "keys", "enrol", "--code", totp.now(), key=ada)
    assert status == 0, err
    _, out, _ = await onramp(service, sqlite_url, "keys", "create", "--role", "operator", "--name", "otto", "--json")
    otto = json.loads(out)["id"]
    status, _, err = await onramp(service, sqlite_url, "keys", "confirm", otto, key=ada)
    assert (status, "otp_required" in err) == (1, True)
    following = totp.at(int(datetime.now(UTC).timestamp()) + 30)  # each code is good once
    status, _, err = await onramp(service, sqlite_url, "keys", "confirm", otto, "--otp", following, key=ada)
    assert status == 0, err
    status, _, err = await onramp(service, sqlite_url, "keys", "confirm", otto)
    assert (status, "ONRAMP_API_KEY" in err) == (1, True)


def test_in_production_the_link_leads_through_tls_though_the_proxy_asks_without() -> None:
    settings = load()
    production = settings.model_copy(update={"ENVIRONMENT": "production"})
    named = production.model_copy(update={"ONRAMP_API_URL": "https://pay.example/"})
    found = [base_of(one, "http://api.example") for one in (settings, production, named)]
    assert found == ["http://api.example", "https://api.example", "https://pay.example"]
