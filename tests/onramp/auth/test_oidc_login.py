"""The login through a provider: what a person gets, and every answer that is not an honest provider's, over real HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kit.audit.table import entries
from kit.db.database import Database
from onramp.auth.oidc import flow
from onramp.auth.oidc.identities import identity_id
from onramp.auth.oidc.table import oidc_logins
from tests.support.api_keys import KEYS, call, create_key
from tests.support.console_browser import SESSIONS
from tests.support.console_browser_oidc import CALLBACK, LOGIN, OidcBrowser, query_of, session_of, state_of
from tests.support.oidc_provider import OidcProvider, public_jwk, rsa_key, running_provider, settings

PERSONS = "/api/v1/admin/oidc-persons"


@pytest.fixture
async def provider() -> AsyncIterator[OidcProvider]:
    async with running_provider() as running:
        yield running


@pytest.fixture
async def service(start: Any, provider: OidcProvider) -> Any:
    return await start(**settings(provider.issuer, OIDC_PERSONS="sub-1=ada,sub-2=grace"))


async def test_a_person_logs_in_with_the_role_of_the_first_group_and_the_configured_name(
    service: Any, provider: OidcProvider
) -> None:
    _, offered = await call(service, "GET", "/api/v1/console/config")
    assert offered["login"]["oidc"] == {"name": "Okta", "url": LOGIN}
    browser = OidcBrowser(service)
    url = await browser.begin()
    query = query_of(url)
    assert url.startswith(f"{provider.issuer}/authorize?")
    assert (query["redirect_uri"], query["scope"]) == (service.api + CALLBACK, "openid profile")
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
    async with service.database.read() as conn:
        query = sa.select(entries.c.action, entries.c.actor).where(entries.c.action.like("console.%"))
        rows = (await conn.execute(query.order_by(entries.c.id))).all()
    actor = identity_id(provider.issuer, "sub-1")
    assert [tuple(row) for row in rows] == [("console.login", actor), ("console.logout", actor)]


async def test_a_person_is_issuer_and_sub_and_never_a_name_or_an_address(service: Any, provider: OidcProvider) -> None:
    people = {}
    for sub in ("sub-1", "sub-2", "sub-3", "sub-4"):
        browser = OidcBrowser(service)
        # All of them have the name and the address of the person that the settings call ada.
        provider.claims |= {"sub": sub, "name": "ada", "email": "ada@shop.example", "preferred_username": "ada"}
        assert (await browser.log_in_through(provider))[0] == 303
        people[sub] = (await session_of(browser))[1]["person"]
    unnamed = [identity_id(provider.issuer, sub) for sub in ("sub-3", "sub-4")]
    assert list(people.values()) == ["ada", "grace", *unnamed]
    assert identity_id(provider.issuer + "/", "sub-3") != unnamed[0]

    # Nobody says who this is, so it must not count as a person beside the one with a key.
    provider.claims |= {"groups": ["boss"]}
    browser = OidcBrowser(service)
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
    service: Any, provider: OidcProvider, groups: Any
) -> None:
    provider.claims["groups"] = groups
    browser = OidcBrowser(service)
    status, _, body = await browser.log_in_through(provider)
    assert (status, browser.cookie, browser.waiting) == (403, None, None)
    assert "OIDC_ROLES" in body and "<code>oidc_refused</code>" in body


async def test_an_admin_ends_a_persons_access_at_once_and_gives_it_back(service: Any, provider: OidcProvider) -> None:
    _, admin = await create_key(service.database, "admin", "root")
    browser = OidcBrowser(service)
    assert (await browser.log_in_through(provider))[0] == 303
    _, listed = await call(service, "GET", PERSONS, admin)
    [person] = listed["data"]
    assert (person["subject"], person["person"], person["name"]) == ("sub-1", "ada", "Ada L.")
    assert (await call(service, "POST", f"{PERSONS}/oid_x/revoke", admin))[0] == 404
    assert (await call(service, "POST", f"{PERSONS}/{person['id']}/revoke", admin))[1]["revokedAt"]
    assert (await session_of(browser))[1]["code"] == "session_ended"
    status, _, body = await OidcBrowser(service).log_in_through(provider)
    assert status == 403 and "An admin has ended your access" in body
    old = browser.cookie
    assert (await call(service, "POST", f"{PERSONS}/{person['id']}/restore", admin))[1]["revokedAt"] is None
    assert (await OidcBrowser(service).log_in_through(provider))[0] == 303
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


def forged(provider: OidcProvider, name: str) -> None:
    """Make the provider's next token wrong in one way."""
    now = int(time.time())
    public = provider.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    claims: dict[str, dict[str, Any]] = {
        "another issuer": {"iss": provider.issuer + ".evil.example"},
        "an issuer with a slash": {"iss": provider.issuer + "/"},
        "another audience": {"aud": "other"},
        "several audiences": {"aud": ["console", "other"]},
        "another party": {"aud": ["console", "other"], "azp": "other"},
        "another party alone": {"azp": "other"},
        "another nonce": {"nonce": "x"},
        "a nonce that is no text": {"nonce": ["x"]},
        "an empty subject": {"sub": ""},
        "a subject that is no text": {"sub": ["sub-1"]},
        "a long subject": {"sub": "s" * 256},
        "a subject with a line break": {"sub": "sub-1\n"},
        "an expired token": {"exp": now - 90},
        "a token of the future": {"iat": now + 90},
        "a token that is not valid yet": {"nbf": now + 90},
        "an old token": {"iat": now - 3600},
        "a time that is no number": {"exp": "tomorrow"},
        "an endless time": {"exp": float("inf")},
    }
    if name in claims:
        provider.claims |= claims[name]
    elif name.startswith("without "):
        provider.without = (name.removeprefix("without "),)
    elif name == "alg none":
        provider.algorithm, provider.signing = "none", ""
    elif name == "HS256 with the public key":
        provider.algorithm, provider.signing = "HS256", public
    elif name == "an algorithm that is not offered":
        provider.algorithm = "PS256"
    elif name == "another key under this id":
        provider.signing = rsa_key()
    elif name == "a key in the header":
        provider.signing = rsa_key()
        provider.header |= {"jwk": public_jwk(provider.signing, "one")}
    elif name == "an unknown key id":
        provider.header = {"kid": "two"}
    elif name == "a critical extension":
        provider.header |= {"crit": ["exp"]}
    elif name == "a weak key":
        provider.key = rsa_key(1024)
        provider.keys = [public_jwk(provider.key, "one")]
    elif name == "an encryption key":
        provider.keys = [public_jwk(provider.key, "one", use="enc")]
    else:
        raise AssertionError(name)


FORGERIES = [
    "another issuer", "an issuer with a slash", "another audience", "several audiences", "another party", "another party alone",
    "another nonce", "a nonce that is no text", "an empty subject", "a subject that is no text", "a long subject", "a subject with a line break",
    "an expired token", "a token of the future", "a token that is not valid yet", "an old token", "a time that is no number",
    "an endless time", "without exp", "without iat", "without nonce", "without sub", "without aud", "without iss", "alg none",
    "HS256 with the public key", "an algorithm that is not offered", "another key under this id", "a key in the header", "an unknown key id",
    "a critical extension", "a weak key", "an encryption key",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:The RSA key is:UserWarning")
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_token_that_is_wrong_in_one_way_logs_nobody_in(start: Any, provider: OidcProvider) -> None:
    honest = dict(provider.__dict__)
    service = await start(**settings(provider.issuer))
    for name in FORGERIES:
        provider.__dict__.update(honest, claims=dict(honest["claims"]), header={"kid": "one"})
        one = await start(**settings(provider.issuer)) if name in {"a weak key", "an encryption key"} else service
        forged(provider, name)
        browser = OidcBrowser(one)
        status, _, body = await browser.log_in_through(provider)
        assert (status, browser.cookie, browser.waiting) == (401, None, None), (name, body)
        assert "oidc_invalid" in body
    provider.__dict__.update(honest)
    assert (await OidcBrowser(service).log_in_through(provider))[0] == 303
    # One row a minute for all of them: nobody fills the audit trail.
    async with service.database.read() as conn:
        refused = sa.select(entries).where(entries.c.action == "console.login_refused")
        assert {row.new_values["code"] for row in await conn.execute(refused)} == {"oidc_invalid"}


async def test_clocks_may_differ_by_a_minute(service: Any, provider: OidcProvider) -> None:
    for skew in (-45, 45):
        now = int(time.time()) + skew
        provider.claims |= {"iat": now, "nbf": now, "exp": now + 10}
        assert (await OidcBrowser(service).log_in_through(provider))[0] == 303, skew


async def test_a_callback_counts_once_in_its_own_browser_and_in_time(service: Any, provider: OidcProvider) -> None:
    browser, thief = OidcBrowser(service), OidcBrowser(service)
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
    victim, thief = OidcBrowser(service), OidcBrowser(service)
    url = await victim.begin()
    await thief.begin()
    good = {"code": provider.authorize(url), "state": state_of(url)}
    assert (await thief.come_back(good))[0] == 401 and (await victim.come_back(good))[0] == 401

    # A code of one login in another one.
    browser = OidcBrowser(service)
    first, second = await browser.begin(), await browser.begin()
    code = provider.authorize(first)
    assert (await browser.come_back({"code": code, "state": state_of(second)}))[0] == 401

    browser = OidcBrowser(service)
    url = await browser.begin()
    async with service.database.write() as conn:
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


async def test_two_tabs_of_a_browser_log_in_beside_each_other(service: Any, provider: OidcProvider) -> None:
    browser = OidcBrowser(service)
    first, second = await browser.begin(), await browser.begin()
    kept = browser.waiting
    for url in (second, first):
        browser.waiting = kept
        assert (await browser.come_back({"code": provider.authorize(url), "state": state_of(url)}))[0] == 303


async def test_the_answer_of_another_issuer_is_refused(start: Any, provider: OidcProvider) -> None:
    provider.metadata = {"authorization_response_iss_parameter_supported": True}
    service = await start(**settings(provider.issuer))
    for issuer, status in ("https://evil.example", 401), (None, 401), (provider.issuer, 303):
        browser = OidcBrowser(service)
        url = await browser.begin()
        query = {"code": provider.authorize(url), "state": state_of(url)} | ({} if issuer is None else {"iss": issuer})
        assert (await browser.come_back(query))[0] == status, issuer


async def test_a_refusal_at_the_provider_is_a_page_without_its_text(service: Any) -> None:
    browser = OidcBrowser(service)
    url = await browser.begin()
    query = {"error": "<script>", "error_description": "<b>call 0900</b>", "state": state_of(url)}
    status, _, body = await browser.come_back(query)
    assert status == 403 and "Okta did not log you in" in body
    assert "script" not in body and "0900" not in body
    assert (await browser.visit(f"{CALLBACK}?error=x", Accept="application/json"))[2].startswith("{"), (
        "a program gets a problem"
    )


async def test_keys_are_rotated_without_a_restart_and_asked_for_at_most_every_ten_seconds(
    service: Any, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await OidcBrowser(service).log_in_through(provider))[0] == 303
    old = provider.keys
    provider.key = ec.generate_private_key(ec.SECP256R1())
    provider.keys = [*old, public_jwk(provider.key, "two", use="sig")]
    provider.algorithm, provider.header = "ES256", {"kid": "two"}
    assert (await OidcBrowser(service).log_in_through(provider))[0] == 401, "asked a moment ago"
    monkeypatch.setattr("onramp.auth.oidc.provider.REFETCH_SECONDS", 0.0)
    assert (await OidcBrowser(service).log_in_through(provider))[0] == 303
    asked = provider.asked.count("/jwks")
    assert (await OidcBrowser(service).log_in_through(provider))[0] == 303
    assert provider.asked.count("/jwks") == asked
    # A token without a key id is accepted only where one key fits.
    provider.header = {}
    assert (await OidcBrowser(service).log_in_through(provider))[0] == 303
    provider.keys = [*provider.keys, public_jwk(ec.generate_private_key(ec.SECP256R1()), "three")]
    monkeypatch.setattr("onramp.auth.oidc.provider.FRESH_SECONDS", 0.0)
    assert (await OidcBrowser(service).log_in_through(provider))[0] == 401
    # A key that was withdrawn is refused once the keys are read again.
    provider.keys, provider.header = old, {"kid": "two"}
    assert (await OidcBrowser(service).log_in_through(provider))[0] == 401


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/.well-known/openid-configuration", 500), ("/.well-known/openid-configuration", 404), ("/jwks", 503), ("/jwks", 404),
        ("/token", 500), ("/token", 302),
    ],
)  # fmt: skip
async def test_a_provider_that_fails_is_a_clear_page(
    service: Any, provider: OidcProvider, path: str, fault: int
) -> None:
    provider.faults[path] = fault
    browser = OidcBrowser(service)
    if path.startswith("/.well-known"):
        status, _, body = await browser.visit(LOGIN)
    else:
        status, _, body = await browser.log_in_through(provider)
    assert (status, browser.cookie) == (503, None)
    assert "Okta does not answer as it should" in body and "log in with an API key" in body
    provider.faults.clear()
    assert (await OidcBrowser(service).log_in_through(provider))[0] == 303


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example"}, {"token_endpoint": "ftp://x/token"}, {"authorization_endpoint": None}, {"jwks_uri": "http://["},
        {"code_challenge_methods_supported": ["plain"]}, {"x": "y" * 300_000},
    ],
)  # fmt: skip
async def test_a_description_that_is_not_valid_is_not_used(service: Any, provider: OidcProvider, change: Any) -> None:
    provider.metadata = change
    assert (await OidcBrowser(service).visit(LOGIN))[0] == 503


async def test_a_provider_that_is_silent_or_away_is_given_up(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onramp.auth.oidc.provider.SECONDS", 0.2)

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for issuer in (f"http://127.0.0.1:{port}", "http://127.0.0.1:9"):
        service = await start(**settings(issuer))
        status, _, body = await OidcBrowser(service).visit(LOGIN)
        assert status == 503 and "Nothing was done" in body, issuer
    server.close()


async def test_nothing_of_it_is_served_without_a_provider_without_the_console_and_over_http(
    start: Any, provider: OidcProvider
) -> None:
    assert (await OidcBrowser(await start(CONSOLE="on")).visit(LOGIN))[0] == 404
    assert (await OidcBrowser(await start(**settings(provider.issuer, CONSOLE="off"))).visit(LOGIN))[0] == 404
    service = await start(**settings(provider.issuer, RATE_LIMIT_AUTH="3/minute"))
    assert (await OidcBrowser(service).visit(LOGIN, Host="console.internal"))[0] == 403
    statuses = [(await OidcBrowser(service).visit(LOGIN))[0] for _ in range(3)]
    assert statuses == [303, 303, 429], "limited as other logins are"
