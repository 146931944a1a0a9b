"""The public configuration: complete, cacheable, readable from allowed pages, without a secret."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from onramp.config.loader import SettingsError, load
from onramp.dapp.public_config import PAUSES_KEPT_SECONDS
from onramp.dapp.schemas import ConfigResponse
from tests.support.api_keys import call, create_key
from tests.support.service import SECRETS, Service, Start

CONFIG = "/api/v1/onramp/config"
SHOP = "https://shop.example"


async def fetch(service: Service, **headers: str) -> tuple[int, Any, Any]:
    """Return status, body and headers."""
    async with service.http.get(service.api + CONFIG, headers=headers) as response:
        body = await response.json() if response.status == 200 else await response.read()
        return response.status, body, response.headers


async def test_it_holds_what_a_dapp_needs(start: Start) -> None:
    service = await start(
        MERCHANT_NAME="Shop", SUPPORT_EMAIL="help@shop.example", SESSION_MIN_AMOUNT="5", SESSION_MAX_AMOUNT="900.50",
        PUBLIC_RPC_URLS="https://rpc.test.mezo.org",
    )  # fmt: skip
    status, config, _ = await fetch(service)
    assert status == 200
    assert config == {
        "environment": "development",
        "chain": {
            "id": 31611,
            "name": "Mezo testnet",
            "explorerUrl": "https://explorer.test.mezo.org",
            "rpcUrls": ["https://rpc.test.mezo.org"],
        },
        "musd": {"address": "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503", "decimals": 18},
        "currencies": ["usd", "eur"],
        "limits": {"usd": {"min": "5.00", "max": "900.50"}, "eur": {"min": "5.00", "max": "900.50"}},
        "stripe": {"publishableKey": "pk_test_api", "scripts": [f"{service.stripe}/sandbox/stripe-onramp.js"]},
        "sessionCreation": "open",
        "salesPaused": False,
        "locales": ["en", "de", "es", "fr", "it", "pt-BR", "ja", "ko", "zh-Hans"],
        "merchantName": "Shop",
        "supportEmail": "help@shop.example",
    }
    assert ConfigResponse.model_validate(config).model_dump(mode="json", by_alias=True) == config


async def test_it_shows_no_node_key_and_no_secret(start: Start) -> None:
    service = await start(
        SPECTRUM_RPC_URLS=SecretStr("c=http://127.0.0.1:29/key-of-a-node"), METRICS_TOKEN=SecretStr("a-metrics-token")
    )
    text = str((await fetch(service))[1])
    hidden = ("key-of-a-node", "127.0.0.1:9", "a-metrics-token", "sk_test_api", *SECRETS)
    assert [secret for secret in hidden if secret in text] == []


async def test_a_client_that_has_it_gets_304_until_it_changes(service: Service) -> None:
    _, config, headers = await fetch(service)
    etag = headers["ETag"]
    assert etag.startswith('"') and headers["Cache-Control"].startswith("public, max-age=")
    for sent in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        status, body, again = await fetch(service, **{"If-None-Match": sent})
        assert (status, body, again["ETag"]) == (304, b"", etag), sent
    for sent in ('"other"', "nonsense", ""):
        assert (await fetch(service, **{"If-None-Match": sent}))[0] == 200, sent
    async with service.http.head(service.api + CONFIG) as response:
        assert (response.status, response.headers["ETag"], await response.read()) == (200, etag, b"")
    _, operator = await create_key(service.database, "operator", "otto")
    assert (await call(service, "POST", "/api/v1/treasury/pause", operator, json={"scope": "sales"}))[0] == 200
    async with asyncio.timeout(30):
        while (await fetch(service, **{"If-None-Match": etag}))[0] == 304:
            await asyncio.sleep(PAUSES_KEPT_SECONDS / 4)
    _, paused, headers = await fetch(service)
    assert paused == config | {"salesPaused": True}
    assert headers["ETag"] != etag


async def test_a_page_of_an_allowed_origin_may_read_it(start: Start) -> None:
    service = await start(ALLOWED_ORIGINS=SHOP)
    _, _, headers = await fetch(service, Origin=SHOP)
    assert (headers["Access-Control-Allow-Origin"], headers["Vary"]) == (SHOP, "Origin")
    _, _, headers = await fetch(service, Origin="https://evil.example")
    assert "Access-Control-Allow-Origin" not in headers


async def test_two_processes_give_one_etag(start: Start) -> None:
    first, second = await start(), await start(STRIPE_API_BASE="https://api.stripe.com")
    third = await start(STRIPE_API_BASE="https://api.stripe.com")
    etags = [(await fetch(service))[2]["ETag"] for service in (first, second, third)]
    assert etags[1] == etags[2] != etags[0]
    scripts = (await fetch(second))[1]["stripe"]["scripts"]
    assert all(script.startswith(("https://js.stripe.com/", "https://crypto-js.stripe.com/")) for script in scripts)


@pytest.mark.parametrize("urls", ["rpc.test.mezo.org", "wss://rpc.test.mezo.org", "https://user:key@rpc.test.mezo.org"])
def test_a_public_node_is_a_web_address_without_credentials(urls: str) -> None:
    with pytest.raises(SettingsError, match="PUBLIC_RPC_URLS"):
        load(PUBLIC_RPC_URLS=urls)
