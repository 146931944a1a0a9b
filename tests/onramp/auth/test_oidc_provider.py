"""A provider that rotates its keys, fails, is silent, or describes itself wrongly."""

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.console_browser_oidc import LOGIN, OidcBrowser, state_of
from tests.support.oidc_provider import OidcProvider, public_jwk, settings


async def test_the_answer_of_another_issuer_is_refused(start: Any, provider: OidcProvider) -> None:
    provider.metadata = {"authorization_response_iss_parameter_supported": True}
    service = await start(**settings(provider.issuer))
    for issuer, status in ("https://evil.example", 401), (None, 401), (provider.issuer, 303):
        browser = OidcBrowser(service)
        url = await browser.begin()
        query = {"code": provider.authorize(url), "state": state_of(url)} | ({} if issuer is None else {"iss": issuer})
        assert (await browser.come_back(query))[0] == status, issuer


async def test_keys_are_rotated_without_a_restart_and_asked_for_at_most_every_ten_seconds(
    oidc_service: Any, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await OidcBrowser(oidc_service).log_in_through(provider))[0] == 303
    old = provider.keys
    provider.key = ec.generate_private_key(ec.SECP256R1())
    provider.keys = [*old, public_jwk(provider.key, "two", use="sig")]
    provider.algorithm, provider.header = "ES256", {"kid": "two"}
    assert (await OidcBrowser(oidc_service).log_in_through(provider))[0] == 401, "asked a moment ago"
    monkeypatch.setattr("onramp.auth.oidc.provider.REFETCH_SECONDS", 0.0)
    assert (await OidcBrowser(oidc_service).log_in_through(provider))[0] == 303
    asked = provider.asked.count("/jwks")
    assert (await OidcBrowser(oidc_service).log_in_through(provider))[0] == 303
    assert provider.asked.count("/jwks") == asked
    # A token without a key id is accepted only where one key fits.
    provider.header = {}
    assert (await OidcBrowser(oidc_service).log_in_through(provider))[0] == 303
    provider.keys = [*provider.keys, public_jwk(ec.generate_private_key(ec.SECP256R1()), "three")]
    monkeypatch.setattr("onramp.auth.oidc.provider.FRESH_SECONDS", 0.0)
    assert (await OidcBrowser(oidc_service).log_in_through(provider))[0] == 401
    # A key that was withdrawn is refused once the keys are read again.
    provider.keys, provider.header = old, {"kid": "two"}
    assert (await OidcBrowser(oidc_service).log_in_through(provider))[0] == 401


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/.well-known/openid-configuration", 500), ("/.well-known/openid-configuration", 404), ("/jwks", 503), ("/jwks", 404),
        ("/token", 500), ("/token", 302),
    ],
)  # fmt: skip
async def test_a_provider_that_fails_is_a_clear_page(
    oidc_service: Any, provider: OidcProvider, path: str, fault: int
) -> None:
    provider.faults[path] = fault
    browser = OidcBrowser(oidc_service)
    if path.startswith("/.well-known"):
        status, _, body = await browser.visit(LOGIN)
    else:
        status, _, body = await browser.log_in_through(provider)
    assert (status, browser.cookie) == (503, None)
    assert "Okta does not answer as it should" in body and "log in with an API key" in body
    provider.faults.clear()
    assert (await OidcBrowser(oidc_service).log_in_through(provider))[0] == 303


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example"}, {"token_endpoint": "ftp://x/token"}, {"authorization_endpoint": None}, {"jwks_uri": "http://["},
        {"code_challenge_methods_supported": ["plain"]}, {"x": "y" * 300_000},
    ],
)  # fmt: skip
async def test_a_description_that_is_not_valid_is_not_used(
    oidc_service: Any, provider: OidcProvider, change: Any
) -> None:
    provider.metadata = change
    assert (await OidcBrowser(oidc_service).visit(LOGIN))[0] == 503


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
