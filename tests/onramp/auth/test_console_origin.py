"""Which requests the cookie of a console session counts on."""

from typing import Any

from onramp.auth.roles import ALLOWED_ROLES
from onramp.bootstrap.app import routes
from onramp.config.loader import load
from tests.support.api_keys import call, create_key
from tests.support.console_browser import SESSIONS, ConsoleBrowser, logged_in

CURRENT = f"{SESSIONS}/current"
ME = "/api/v1/keys/me"


async def test_a_write_counts_only_from_a_page_of_this_service(console_service: Any) -> None:
    browser, _, _ = await logged_in(console_service, "viewer", "ada")
    api = console_service.api
    bad: list[tuple[dict[str, str], tuple[str, ...]]] = [
        ({"Origin": "https://evil.example"}, ()),
        ({"Origin": "null"}, ()),
        ({"Origin": api.replace("http:", "ftp:")}, ()),
        ({"Origin": f"{api}.evil.example"}, ()),
        ({"Origin": "http://[::1"}, ()),
        ({"Sec-Fetch-Site": "cross-site"}, ()),
        ({"Sec-Fetch-Site": "same-site"}, ()),
        ({"Sec-Fetch-Site": "none"}, ()),
        ({}, ("X-Onramp-Console",)),
        ({"X-Onramp-Console": "0"}, ()),
        ({}, ("Origin", "Sec-Fetch-Site")),
    ]
    for headers, without in bad:
        status, problem = await browser.ask("DELETE", CURRENT, without=without, headers=headers)
        assert (status, problem["code"]) == (403, "cross_site"), (headers, without)
    for site in ("cross-site", "same-site"):
        assert (await browser.ask("GET", CURRENT, headers={"Sec-Fetch-Site": site}))[0] == 403
    for without in ((), ("Origin", "Sec-Fetch-Site", "X-Onramp-Console")):
        assert (await browser.ask("GET", CURRENT, without=without))[0] == 200
    assert (await browser.ask("GET", CURRENT, headers={"Sec-Fetch-Site": "none"}))[0] == 200
    assert (await browser.ask("DELETE", CURRENT, without=("Sec-Fetch-Site",)))[0] == 200


async def test_a_login_from_another_page_or_over_http_is_refused(start: Any) -> None:
    service = await start(CONSOLE="on", ONRAMP_API_URL="https://pay.example/")
    _, secret = await create_key(service.database, "viewer", "ada")
    refused = {
        "https://evil.example": "cross_site",
        "http://pay.example": "cross_site",
        f"http://console.internal:{service.api.rpartition(':')[2]}": "https_required",
    }
    for origin, code in refused.items():
        browser = ConsoleBrowser(service, origin=origin)
        browser.headers["Host"] = origin.partition("://")[2] if "internal" in origin else "127.0.0.1"
        status, problem = await browser.log_in(secret)
        assert (status, problem["code"], browser.cookie) == (403, code, None), origin
    # A proxy in front may send another Host; the configured address counts.
    assert (await ConsoleBrowser(service, origin="https://pay.example").log_in(secret))[0] == 201
    assert (await ConsoleBrowser(service).log_in(secret))[0] == 201
    status, _ = await call(service, "POST", SESSIONS, json={"key": secret})
    assert status == 201, "a program sends no Origin"


async def test_the_cookie_counts_on_no_route_for_buyers_and_beside_no_bearer_token(console_service: Any) -> None:
    browser, _, _ = await logged_in(console_service, "operator", "ada")
    others = set(ALLOWED_ROLES) - {"viewer", "operator", "approver", "admin"}
    for route in routes(load()):
        if route.access in others:
            body: dict[str, Any] | None = {} if route.body else None
            status, problem = await browser.ask(route.method, route.path.replace("{id}", "x"), body)
            assert (status, problem["code"]) == (401, "unauthorized"), route.path
    assert (await browser.ask("GET", CURRENT, headers={"Authorization": "Bearer ork_wrong"}))[0] == 401
    _, viewer = await create_key(console_service.database, "viewer", "otto")
    status, key = await browser.ask("GET", ME, headers={"Authorization": f"Bearer {viewer}"})
    assert (status, key["person"]) == (200, "otto")
    # The secret of a session is no bearer token.
    assert (await call(console_service, "GET", ME, browser.cookie))[0] == 401
