"""The page at `/`: HTML for browsers, JSON for programs, and every path that it names is served."""

import re

import pytest

from onramp import __version__
from tests.support.service import Service, Start

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PATHS = ["/checkout", "/docs", "/openapi.json", "/llms.txt", "/health", "/ready"]


async def test_a_program_gets_json_that_names_what_is_served(service: Service) -> None:
    for accept in ("*/*", "application/json", ""):
        async with service.http.get(service.api, headers={"Accept": accept}) as answer:
            assert (answer.status, answer.content_type, answer.headers["Vary"]) == (200, "application/json", "Accept")
            document = await answer.json()
    assert (document["name"], document["version"]) == ("Onramp", __version__)
    assert list(document["paths"]) == PATHS
    for path in PATHS:
        async with service.http.get(service.api + path) as answer:
            assert answer.status in ({200, 503} if path == "/ready" else {200}), path


async def test_a_browser_gets_a_page_that_links_to_what_is_served(service: Service) -> None:
    async with service.http.get(service.api, headers={"Accept": BROWSER}) as answer:
        assert (answer.status, answer.content_type, answer.headers["Vary"]) == (200, "text/html", "Accept")
        text = await answer.text()
        headers = answer.headers
    assert re.findall(r'<a href="([^"]+)">', text) == PATHS
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
    assert "<script" not in text and " style=" not in text


@pytest.mark.parametrize("accept", ["*/*", BROWSER])
async def test_a_checkout_page_that_is_not_served_is_not_named(start: Start, accept: str) -> None:
    service = await start(CHECKOUT_PAGE=False)
    async with service.http.get(service.api, headers={"Accept": accept}) as answer:
        text = await answer.text()
    assert "/checkout" not in text and "/docs" in text
