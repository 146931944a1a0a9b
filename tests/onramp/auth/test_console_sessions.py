"""Console sessions over real HTTP: an API key in, a cookie out, and when it ends."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import sqlalchemy as sa

from kit.audit.table import entries
from kit.db.database import Database
from onramp.auth.api_keys.table import api_key_secrets, api_keys
from onramp.auth.console_sessions import service as console_sessions_service
from onramp.auth.console_sessions.model import LIFETIME
from onramp.auth.console_sessions.service import KeyLogin, OidcPersons
from onramp.auth.console_sessions.table import console_sessions
from onramp.auth.roles import takes_code
from onramp.bootstrap.app import routes
from onramp.config.loader import load
from tests.support.api_keys import KEYS, RING, call, create_key
from tests.support.console_browser import SESSIONS, ConsoleBrowser, logged_in

CURRENT = f"{SESSIONS}/current"
ME = "/api/v1/keys/me"


async def change(database: Database, table: sa.Table, **values: Any) -> None:
    async with database.write() as conn:
        await conn.execute(sa.update(table).values(**values))


async def audit(database: Database, action: str) -> list[Any]:
    async with database.read() as conn:
        return list(await conn.execute(sa.select(entries).where(entries.c.action == action).order_by(entries.c.id)))


async def test_a_key_is_exchanged_for_a_session_with_its_role_and_person(console_service: Any) -> None:
    status, offered = await call(console_service, "GET", "/api/v1/console/config")
    assert (status, offered) == (200, {"login": {"key": True, "oidc": None}})
    browser, key_id, secret = await logged_in(console_service, "operator", "ada")
    flags = browser.set_cookie.replace(browser.cookie or "", "SECRET").split("; ")
    assert flags == ["__Host-onramp=SECRET", "HttpOnly", "Max-Age=28800", "Path=/", "SameSite=Strict", "Secure"]

    status, session = await browser.ask("GET", CURRENT)
    assert status == 200
    assert (session["person"], session["role"], session["method"], session["keyId"]) == (
        "ada",
        "operator",
        "key",
        key_id,
    )
    assert (session["current"], session["secondFactor"], session["passkeys"]) == (True, False, 0)
    assert browser.cookie is not None
    assert secret not in str(session) and browser.cookie not in str(session)
    lives = datetime.fromisoformat(session["expiresAt"]) - datetime.fromisoformat(session["createdAt"])
    idles = datetime.fromisoformat(session["idleExpiresAt"]) - datetime.fromisoformat(session["lastUsedAt"])
    assert (lives, idles) == (timedelta(hours=8), timedelta(minutes=30))
    status, me = await browser.ask("GET", ME)
    assert (status, me["id"]) == (200, key_id)
    assert (await browser.ask("POST", KEYS, {"role": "viewer", "name": "x"}))[1]["code"] == "forbidden"
    async with console_service.database.read() as conn:
        row = (await conn.execute(sa.select(console_sessions))).one()
    assert browser.cookie not in [str(value) for value in row]
    [entry] = await audit(console_service.database, "console.login")
    assert (entry.actor, entry.subject) == (key_id, session["id"])


async def test_a_refused_login_begins_no_session_and_is_audited(console_service: Any) -> None:
    browser = ConsoleBrowser(console_service)
    _, dapp = await create_key(console_service.database, "dapp", "shop")
    revoked_id, revoked = await create_key(console_service.database, "viewer", "rita")
    waiting_id, waiting = await create_key(console_service.database, "operator", "otto")
    async with console_service.database.write() as conn:
        await conn.execute(sa.update(api_keys).where(api_keys.c.id == revoked_id).values(revoked_at=datetime.now(UTC)))
        later = datetime.now(UTC) + timedelta(hours=3)
        await conn.execute(
            sa.update(api_key_secrets).where(api_key_secrets.c.key_id == waiting_id).values(active_from=later)
        )
    cases = (
        ("ork_unknown", 401, "unauthorized"), (revoked, 401, "unauthorized"), ("ocs_x", 401, "unauthorized"),
        (dapp, 403, "forbidden"), (waiting, 403, "key_not_active"),
    )  # fmt: skip
    for key, status, code in cases:
        answered, problem = await browser.log_in(key)
        assert (answered, problem["code"]) == (status, code)
    assert browser.cookie is None
    refusals = await audit(console_service.database, "console.login_refused")
    # The three unknown keys are one row: nobody fills the audit trail by guessing.
    assert [(row.actor[:4], row.new_values["code"]) for row in refusals] == [
        ("anon", "unauthorized"), ("key_", "forbidden"), ("key_", "key_not_active"),
    ]  # fmt: skip


async def test_a_key_with_a_second_factor_logs_in_with_a_code_and_orders_with_another(console_service: Any) -> None:
    _, secret = await create_key(console_service.database, "admin", "ada")
    _, begun = await call(console_service, "POST", f"{ME}/otp", secret)
    totp = pyotp.parse_uri(begun["uri"])
    assert isinstance(totp, pyotp.TOTP)
    now = int(time.time())
    assert (await call(console_service, "POST", f"{ME}/otp/confirm", secret, json={"code": totp.at(now - 30)}))[
        0
    ] == 200

    browser = ConsoleBrowser(console_service)
    assert (await browser.log_in(secret))[1]["code"] == "otp_required"
    assert (await browser.log_in(secret, "12345"))[1]["code"] == "otp_invalid"
    assert browser.cookie is None
    status, session = await browser.log_in(secret, totp.at(now))
    assert (status, session["secondFactor"]) == (201, True)
    body = {"role": "viewer", "name": "wall"}
    assert (await browser.ask("POST", KEYS, body))[1]["code"] == "otp_required"
    assert (await browser.ask("POST", KEYS, body, headers={"X-OTP": totp.at(now)}))[1]["code"] == "otp_invalid", (
        "used at login"
    )
    status, key = await browser.ask("POST", KEYS, body, headers={"X-OTP": totp.at(now + 30)})
    assert (status, key.get("role")) == (201, "viewer"), key


async def test_a_cookie_alone_approves_nothing_and_manages_no_key(console_service: Any) -> None:
    for role in ("approver", "admin"):
        browser, _, secret = await logged_in(console_service, role, f"p-{role}")
        writes = [route for route in routes(load()) if route.access == role and takes_code(route) and not route.dry_run]
        assert writes
        for route in writes:
            path = route.path.replace("{id}", "x").replace("{number}", "1")
            status, problem = await browser.ask(route.method, path, {})
            assert (status, problem["code"]) == (403, "second_factor_required"), route.path
            # The key itself does what it did before.
            assert (await call(console_service, route.method, path, secret, json={}))[1].get(
                "code"
            ) != "second_factor_required"


async def test_a_session_ends_at_once_with_its_key_and_its_secret(console_service: Any) -> None:
    _, admin = await create_key(console_service.database, "admin", "root")
    browser, key_id, _ = await logged_in(console_service, "operator", "ada")
    assert (await browser.ask("GET", CURRENT))[0] == 200
    assert (await call(console_service, "POST", f"{KEYS}/{key_id}/rotate", admin, json={"overlapMinutes": 10}))[
        0
    ] == 200
    assert (await browser.ask("GET", CURRENT))[0] == 200, "the old secret still works"
    assert (await call(console_service, "POST", f"{KEYS}/{key_id}/rotate", admin, json={"overlapMinutes": 0}))[0] == 200
    status, problem = await browser.ask("GET", CURRENT)
    assert (status, problem["code"]) == (401, "session_ended")
    assert browser.cookie is None, "the browser forgets it"

    browser, key_id, _ = await logged_in(console_service, "operator", "eve")
    assert (await browser.ask("GET", CURRENT))[0] == 200
    assert (await call(console_service, "POST", f"{KEYS}/{key_id}/revoke", admin))[0] == 200
    assert (await browser.ask("GET", CURRENT))[1]["code"] == "session_ended"


async def test_a_session_ends_after_eight_hours_and_when_idle(console_service: Any) -> None:
    browser, _, _ = await logged_in(console_service, "viewer", "ada")
    now = datetime.now(UTC)

    async def used(ago: timedelta, headers: dict[str, str] | None = None) -> datetime:
        await change(console_service.database, console_sessions, last_used_at=now - ago)
        assert (await browser.ask("GET", CURRENT, headers=headers))[0] == 200
        async with console_service.database.read() as conn:
            stored: datetime = (await conn.execute(sa.select(console_sessions.c.last_used_at))).scalar_one()
        return stored

    assert await used(timedelta(minutes=29)) >= now
    assert await used(timedelta(seconds=50)) == now - timedelta(seconds=50), "to the minute, not one write a request"
    # What a page asks by itself keeps no idle session alive.
    assert await used(timedelta(minutes=29), {"X-Onramp-Background": "1"}) == now - timedelta(minutes=29)
    await change(console_service.database, console_sessions, last_used_at=now - timedelta(minutes=30, seconds=1))
    assert (await browser.ask("GET", CURRENT))[1]["code"] == "session_ended"

    browser, _, _ = await logged_in(console_service, "viewer", "otto")
    await change(console_service.database, console_sessions, expires_at=now)
    assert (await browser.ask("GET", CURRENT))[1]["code"] == "session_ended"


async def test_sessions_are_listed_and_ended_by_their_person_and_by_an_admin(console_service: Any) -> None:
    ada, key_id, secret = await logged_in(console_service, "viewer", "ada")
    phone = ConsoleBrowser(console_service)
    assert (await phone.log_in(secret))[0] == 201
    otto, _, _ = await logged_in(console_service, "viewer", "otto")
    root, _, _ = await logged_in(console_service, "admin", "root")

    status, listed = await ada.ask("GET", SESSIONS)
    assert status == 200
    assert [(session["keyId"], session["current"]) for session in listed["data"]] == [(key_id, False), (key_id, True)]
    phone_id = listed["data"][0]["id"]
    assert (await otto.ask("DELETE", f"{SESSIONS}/{phone_id}"))[0] == 404, "another person's"
    assert (await ada.ask("DELETE", f"{SESSIONS}/{phone_id}"))[0] == 200
    assert (await phone.ask("GET", CURRENT))[1]["code"] == "session_ended"
    assert (await ada.ask("DELETE", f"{SESSIONS}/{phone_id}"))[0] == 404

    _, page = await root.ask("GET", f"{SESSIONS}?limit=2")
    assert [session["person"] for session in page["data"]] == ["root", "otto"]
    _, rest = await root.ask("GET", f"{SESSIONS}?limit=2&cursor={page['nextCursor']}")
    assert ([session["person"] for session in rest["data"]], rest["nextCursor"]) == (["ada"], None)
    assert (await root.ask("DELETE", f"{SESSIONS}/{page['data'][1]['id']}"))[0] == 200, (
        "an admin ends any, without a code"
    )
    assert (await otto.ask("GET", CURRENT))[0] == 401

    status, ended = await ada.ask("DELETE", CURRENT)
    assert (status, ended["keyId"], ada.cookie) == (200, key_id, None)
    assert "Max-Age=0" in ada.set_cookie
    assert (await call(console_service, "GET", CURRENT, secret))[0] == 404, "a key has no session"
    assert [row.actor == key_id for row in await audit(console_service.database, "console.logout")] == [True]
    assert [row.actor == key_id for row in await audit(console_service.database, "console.end")] == [True, False]


async def test_logins_are_limited_as_the_login_of_wallets_is(start: Any) -> None:
    service = await start(CONSOLE="on", RATE_LIMIT_AUTH="2/minute")
    _, secret = await create_key(service.database, "viewer", "ada")
    browser = ConsoleBrowser(service)
    assert [(await browser.log_in(secret))[0] for _ in range(3)] == [201, 201, 429]
    assert (await browser.ask("GET", CURRENT))[0] == 200


async def test_a_session_shares_the_limit_of_its_key(start: Any) -> None:
    service = await start(CONSOLE="on", RATE_LIMIT_READ="3/minute")
    browser, _, secret = await logged_in(service, "viewer", "ada")
    answers = [await browser.ask("GET", ME), await call(service, "GET", ME, secret), await browser.ask("GET", ME)]
    assert [status for status, _ in answers] == [200, 200, 200]
    assert (await call(service, "GET", ME, secret))[0] == 429


async def test_sessions_are_found_and_pruned_on_both_databases(database: Database) -> None:
    key_id, _ = await create_key(database, "viewer", "ada")
    now = datetime.now(UTC).replace(microsecond=0)
    persons = OidcPersons()
    async with database.write() as conn:
        stored_hash = (await conn.execute(sa.select(api_key_secrets.c.id))).scalar_one()
        for name in ("a", "b"):
            login = KeyLogin(key_id, stored_hash)
            await console_sessions_service.begin(conn, f"cs_{name}", f"ocs_{name}", login, RING, now)
        candidates = console_sessions_service.hashes(RING, "ocs_b")
        found = await console_sessions_service.find(conn, candidates, persons, now)
        assert found is not None and (found.id, found.caller_id) == ("cs_b", key_id)
        listed = await console_sessions_service.newest(conn, persons, now, caller_id=key_id, limit=1)
        assert [session.id for session in listed] == ["cs_b"]
        await console_sessions_service.touch(conn, "cs_b", now + timedelta(minutes=5))
        assert await console_sessions_service.get(conn, "cs_a", persons, now + timedelta(minutes=31)) is None
        assert await console_sessions_service.get(conn, "cs_b", persons, now + timedelta(minutes=31)) is not None
        end = now + LIFETIME + console_sessions_service.KEEP
        assert await console_sessions_service.prune(conn, end) == 0
        assert await console_sessions_service.prune(conn, end + timedelta(seconds=1), limit=1) == 1
        assert await console_sessions_service.prune(conn, end + timedelta(seconds=1)) == 1
