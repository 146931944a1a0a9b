"""The login through a provider over real HTTP: who a person is, what the person may do, and which callback counts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from kit.audit.table import entries
from kit.db.database import Database
from onramp.auth.oidc import flow
from onramp.auth.oidc.service import identity_id
from onramp.auth.oidc.table import oidc_logins
from tests.support.api_keys import KEYS, call, create_key
from tests.support.console_browser import SESSIONS
from tests.support.console_browser_oidc import CALLBACK, LOGIN, OidcBrowser, query_of, session_of, state_of
from tests.support.oidc_provider import OidcProvider, settings

PERSONS = "/api/v1/admin/oidc-persons"


async def test_a_person_logs_in_with_the_role_of_the_first_group_and_the_configured_name(
    oidc_service: Any, provider: OidcProvider
) -> None:
    _, offered = await call(oidc_service, "GET", "/api/v1/console/config")
    assert offered["login"]["oidc"] == {"name": "Okta", "url": LOGIN}
    browser = OidcBrowser(oidc_service)
    url = await browser.begin()
    query = query_of(url)
    assert url.startswith(f"{provider.issuer}/authorize?")
    assert (query["redirect_uri"], query["scope"]) == (oidc_service.api + CALLBACK, "openid profile")
    assert len(query["state"]) == len(query["nonce"]) == len(query["code_challenge"]) == 43
    flags = browser.set_login_cookie.split("; ", 1)[1]
    assert flags == "HttpOnly; Max-Age=600; Path=/; SameSite=Lax; Secure"

    provider.claims["groups"] = ["staff", "ops", "else"]
    status, location, _ = await browser.come_back({"code": provider.authorize(url), "state": query["state"]})
    assert (status, location, browser.waiting) == (303, "/console", None)
    assert "HttpOnly; Max-Age=28800; Path=/; SameSite=Strict; Secure" in browser.set_cookie
    status, session = await session_of(browser)
    assert status == 200
    found = {name: session[name] for name in ("person", "role", "method", "keyId", "secondFactor", "current")}
    assert found == {
        "person": "ada", "role": "operator", "method": "oidc", "keyId": None, "secondFactor": False, "current": True,
    }  # fmt: skip
    # Without a passkey it reads, and ends its sessions.
    assert (await browser.ask("GET", "/api/v1/treasury/payouts"))[0] == 200
    status, problem = await browser.ask("POST", "/api/v1/treasury/payouts/pay_x/retry", {})
    assert (status, problem["code"]) == (403, "forbidden")
    status, problem = await browser.ask("POST", "/api/v1/treasury/sweeps", {"asset": "MUSD", "amount": "1"})
    assert (status, problem["code"]) == (403, "second_factor_required")
    assert (await browser.ask("DELETE", f"{SESSIONS}/current"))[0] == 200
    async with oidc_service.database.read() as conn:
        logins = sa.select(entries.c.action, entries.c.actor).where(entries.c.action.like("console.%"))
        rows = (await conn.execute(logins.order_by(entries.c.id))).all()
    actor = identity_id(provider.issuer, "sub-1")
    assert [tuple(row) for row in rows] == [("console.login", actor), ("console.logout", actor)]


async def test_a_person_is_issuer_and_sub_and_never_a_name_or_an_address(
    oidc_service: Any, provider: OidcProvider
) -> None:
    people = {}
    for sub in ("sub-1", "sub-2", "sub-3", "sub-4"):
        browser = OidcBrowser(oidc_service)
        # All of them have the name and the address of the person that the settings call ada.
        provider.claims |= {"sub": sub, "name": "ada", "email": "ada@shop.example", "preferred_username": "ada"}
        assert (await browser.log_in_through(provider))[0] == 303
        people[sub] = (await session_of(browser))[1]["person"]
    unnamed = [identity_id(provider.issuer, sub) for sub in ("sub-3", "sub-4")]
    assert list(people.values()) == ["ada", "grace", *unnamed]
    assert identity_id(provider.issuer + "/", "sub-3") != unnamed[0]

    # Nobody says who this is, so it must not count as a person beside the one with a key.
    provider.claims |= {"groups": ["boss"]}
    browser = OidcBrowser(oidc_service)
    assert (await browser.log_in_through(provider))[0] == 303
    for method, path in (("POST", KEYS), ("POST", "/api/v1/keys/me/otp")):
        status, problem = await browser.ask(method, path, {"role": "approver", "name": "x"} if path == KEYS else None)
        assert (status, problem["code"]) == (403, "person_unknown"), path
    assert (await browser.ask("GET", KEYS))[0] == 200


async def test_a_name_that_looks_like_another_persons_does_not_log_in(start: Any, provider: OidcProvider) -> None:
    service = await start(**settings(provider.issuer, OIDC_PERSONS="sub-1=ado"))
    await create_key(service.database, "approver", "ad0")
    status, _, body = await OidcBrowser(service).log_in_through(provider)
    assert status == 403 and "looks like another person" in body


@pytest.mark.parametrize("groups", [None, [], ["other"], "other", 7, [["staff"]], {"staff": 1}])
async def test_a_person_without_a_group_of_the_settings_is_refused(
    oidc_service: Any, provider: OidcProvider, groups: Any
) -> None:
    provider.claims["groups"] = groups
    browser = OidcBrowser(oidc_service)
    status, _, body = await browser.log_in_through(provider)
    assert (status, browser.cookie, browser.waiting) == (403, None, None)
    assert "OIDC_ROLES" in body and "<code>oidc_refused</code>" in body


async def test_an_admin_ends_a_persons_access_at_once_and_gives_it_back(
    oidc_service: Any, provider: OidcProvider
) -> None:
    _, admin = await create_key(oidc_service.database, "admin", "root")
    browser = OidcBrowser(oidc_service)
    assert (await browser.log_in_through(provider))[0] == 303
    _, listed = await call(oidc_service, "GET", PERSONS, admin)
    [person] = listed["data"]
    assert (person["subject"], person["person"], person["name"]) == ("sub-1", "ada", "Ada L.")
    assert (await call(oidc_service, "POST", f"{PERSONS}/oid_x/revoke", admin))[0] == 404
    assert (await call(oidc_service, "POST", f"{PERSONS}/{person['id']}/revoke", admin))[1]["revokedAt"]
    assert (await session_of(browser))[1]["code"] == "session_ended"
    status, _, body = await OidcBrowser(oidc_service).log_in_through(provider)
    assert status == 403 and "An admin has ended your access" in body
    old = browser.cookie
    assert (await call(oidc_service, "POST", f"{PERSONS}/{person['id']}/restore", admin))[1]["revokedAt"] is None
    assert (await OidcBrowser(oidc_service).log_in_through(provider))[0] == 303
    browser.cookie = old
    assert (await session_of(browser))[0] == 401


async def test_a_change_of_the_settings_ends_the_sessions_made_under_others(start: Any, provider: OidcProvider) -> None:
    service = await start(**settings(provider.issuer))
    browser = OidcBrowser(service)
    assert (await browser.log_in_through(provider))[0] == 303
    for change, status in ({"OIDC_NAME": "Other"}, 200), ({"OIDC_ROLES": "staff=admin"}, 401):
        other = OidcBrowser(await start(**settings(provider.issuer, **change)))
        other.cookie = browser.cookie
        assert (await session_of(other))[0] == status, change


async def test_a_callback_counts_once_in_its_own_browser_and_in_time(oidc_service: Any, provider: OidcProvider) -> None:
    browser, thief = OidcBrowser(oidc_service), OidcBrowser(oidc_service)
    url = await browser.begin()
    await thief.begin()
    good = {"code": provider.authorize(url), "state": state_of(url)}
    for query in ({}, {"state": "x"}, {"code": good["code"]}, {"code": good["code"], "state": "x" * 5000}):
        assert (await thief.come_back(query))[0] == 401, query
        thief.waiting = browser.waiting
    thief.waiting = None
    assert (await thief.come_back(good))[0] == 401, "without the cookie of the browser that began it"
    kept = browser.waiting
    assert (await browser.come_back(good))[0] == 303
    for again in (kept, None):
        browser.waiting = again
        assert (await browser.come_back(good))[0] == 401, "replayed"

    # Another browser's cookie uses the state up, so a stolen address is worth nothing.
    victim, thief = OidcBrowser(oidc_service), OidcBrowser(oidc_service)
    url = await victim.begin()
    await thief.begin()
    good = {"code": provider.authorize(url), "state": state_of(url)}
    assert (await thief.come_back(good))[0] == 401 and (await victim.come_back(good))[0] == 401

    # A code of one login in another one.
    browser = OidcBrowser(oidc_service)
    first, second = await browser.begin(), await browser.begin()
    code = provider.authorize(first)
    assert (await browser.come_back({"code": code, "state": state_of(second)}))[0] == 401

    browser = OidcBrowser(oidc_service)
    url = await browser.begin()
    async with oidc_service.database.write() as conn:
        await conn.execute(sa.update(oidc_logins).values(expires_at=datetime.now(UTC)))
    good = {"code": provider.authorize(url), "state": state_of(url)}
    assert (await browser.come_back(good))[0] == 401


async def test_logins_that_were_not_completed_are_pruned_on_both_databases(database: Database) -> None:
    now = datetime.now(UTC)
    async with database.write() as conn:
        rows = [
            {"id": name, "browser": "b", "expires_at": now + timedelta(minutes=minutes)}
            for name, minutes in (("a", -1), ("b", -2), ("c", 1))
        ]
        await conn.execute(sa.insert(oidc_logins), rows)
        assert [await flow.prune(conn, now, limit=1) for _ in range(3)] == [1, 1, 0]


async def test_two_tabs_of_a_browser_log_in_beside_each_other(oidc_service: Any, provider: OidcProvider) -> None:
    browser = OidcBrowser(oidc_service)
    first, second = await browser.begin(), await browser.begin()
    kept = browser.waiting
    for url in (second, first):
        browser.waiting = kept
        assert (await browser.come_back({"code": provider.authorize(url), "state": state_of(url)}))[0] == 303


async def test_a_refusal_at_the_provider_is_a_page_without_its_text(oidc_service: Any) -> None:
    browser = OidcBrowser(oidc_service)
    url = await browser.begin()
    query = {"error": "<script>", "error_description": "<b>call 0900</b>", "state": state_of(url)}
    status, _, body = await browser.come_back(query)
    assert status == 403 and "Okta did not log you in" in body
    assert "script" not in body and "0900" not in body
    assert (await browser.visit(f"{CALLBACK}?error=x", Accept="application/json"))[2].startswith("{"), (
        "a program gets a problem"
    )
