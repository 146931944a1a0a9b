"""What tests of the operator console share: one browser that watches for faults and other hosts, and what an operator does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, CDPSession, Page, ViewportSize, async_playwright, expect

from tests.support.browser import CHROMIUM, DESKTOP
from tests.support.dev_stack import DevStack

SMALL_PHONE: Final[ViewportSize] = {"width": 360, "height": 740}
SCREENS: Final = (
    "now", "queue", "approvals", "purchase", "balances", "sweeps", "ledger", "policy", "nodes", "audit", "people", "notifications",
)  # fmt: skip
_LOADING_FAILED: Final = "Failed to load resource"
"""What Chromium writes for each response that is a refusal; the responses themselves are watched instead."""


@dataclass
class Watch:
    """What all pages of a module did wrong."""

    faults: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    """Responses of 400 or more, as `status path`."""

    def follow(self, page: Page) -> None:
        """Watch a page from now on."""
        page.on("pageerror", lambda error: self.faults.append(f"{error}\n{error.stack}"))
        page.on("console", lambda line: self._line(line.type, line.text))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("response", lambda response: self._response(response.status, urlsplit(response.url).path))

    def _line(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not text.startswith(_LOADING_FAILED):
            self.faults.append(text)

    def _response(self, status: int, path: str) -> None:
        if status >= 400:
            self.refused.append(f"{status} {path}")


@dataclass
class Console:
    """The console of one stack, and one browser."""

    stack: DevStack
    browser: Browser
    watch: Watch

    async def open(self, path: str = "", viewport: ViewportSize = DESKTOP, **options: Any) -> Page:
        """Open a screen in a new context, with a session of nobody."""
        context = await self.browser.new_context(viewport=viewport, **options)
        page = await context.new_page()
        self.watch.follow(page)
        await page.goto(self.stack.console + path)
        await expect(page.locator("#main")).to_be_visible()
        return page

    async def log_in(self, role: str, path: str = "", viewport: ViewportSize = DESKTOP, **options: Any) -> Page:
        """Open a screen and log in with the key of a role."""
        page = await self.open(path, viewport, **options)
        await page.get_by_test_id("key").fill(getattr(self.stack, role))
        await page.get_by_test_id("login").click()
        await ready(page)
        return page


@asynccontextmanager
async def consoles(stack: DevStack) -> AsyncIterator[Console]:
    """Yield the console in one browser. At the end, assert that no script failed, no policy was violated and no other host was asked."""
    if CHROMIUM is None:
        pytest.fail("CI has no chromium: install it with `apt-get install --no-install-recommends chromium`")
    watch = Watch()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield Console(stack, browser, watch)
        await browser.close()
    assert watch.faults == [], watch.faults
    assert watch.hosts == {urlsplit(stack.console).netloc}


async def ready(page: Page, screen: str = "") -> None:
    """Wait until the screen shows what it has read."""
    named = f'[data-screen="{screen}"]' if screen else ""
    await expect(page.locator(f'#main{named}[data-ready="yes"]')).to_be_visible(timeout=15_000)


async def go(page: Page, screen: str, query: str = "") -> None:
    """Follow the navigation's link to a screen, or its address if there is a query."""
    if query:
        base = page.url.split("/console")[0]
        await page.goto(f"{base}/console/{screen}?{query}")
    elif (page.viewport_size or DESKTOP)["width"] > 760:
        await page.locator(f'#nav a[href$="/{"console" if screen == "now" else screen}"]').click()
    else:
        await page.locator("header .menu").click()
        await page.locator(f'#nav a[href$="/{"console" if screen == "now" else screen}"]').click()
    await ready(page, screen)


async def virtual_authenticator(context: BrowserContext, page: Page) -> CDPSession:
    """Give the page a device that verifies its user and signs at once, as a phone or laptop does after a touch."""
    session = await context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    await session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return session
