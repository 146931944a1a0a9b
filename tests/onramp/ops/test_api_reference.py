"""The API reference in a real browser: it loads nothing from elsewhere, breaks no rule of its policy, and tries out a route."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.support.browser import CHROMIUM, DESKTOP, NEEDS_CHROMIUM, save_screenshot
from tests.support.service import Service, Start

pytestmark = NEEDS_CHROMIUM


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield await browser.new_page(viewport=DESKTOP)
        await browser.close()


async def test_a_route_is_read_and_tried_out(start: Start, page: Page) -> None:
    service: Service = await start()
    problems: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    await page.goto(f"{service.api}/docs")
    await expect(page.locator("#operations-tag-Purchases")).to_be_visible(timeout=30_000)
    await save_screenshot(page, "api-reference")
    quote = page.locator("#operations-Purchases-quote")
    await quote.locator(".opblock-summary-control").click()
    samples = quote.locator(".code-samples")
    await expect(samples.locator("pre")).to_contain_text("curl 'https://pay.example/api/v1/onramp/quotes?")
    await samples.get_by_role("button", name="Python").click()
    await expect(samples.locator("pre")).to_contain_text("requests.get(")
    await quote.get_by_role("button", name="Try it out").click()
    await quote.get_by_role("button", name="Execute").click()
    live: Any = quote.locator(".live-responses-table")
    await expect(live.locator(".response-col_status").last).to_contain_text("200")
    await expect(live).to_contain_text("destinationAmount")
    await expect(page.locator("#access")).to_be_visible()
    assert problems == []
    assert {url.split("/", 3)[2] for url in requests if not url.startswith("data:")} == {service.api.split("/", 3)[2]}
