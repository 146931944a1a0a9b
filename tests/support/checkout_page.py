"""What tests of the checkout page share: a browser that watches for faults and other hosts, and what a buyer does."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import pytest
from playwright.async_api import BrowserContext, FrameLocator, Page, ViewportSize, async_playwright, expect

from tests.support.browser import CHROMIUM, DESKTOP

GOOD_CARD: Final = "4242424242424242"
DECLINED_CARD: Final = "4000000000000002"
PAID_TO_CONFIRMED_MS: Final = 60_000


class Stack(Protocol):
    """The URLs that a running `onramp dev` prints."""

    api: str
    checkout: str
    rpc: str
    stripe: str


class Open(Protocol):
    """Opens the checkout page in a new context, or in a given one."""

    def __call__(
        self,
        viewport: ViewportSize = DESKTOP,
        *,
        path: str = "",
        within: BrowserContext | None = None,
        script: str = "",
        functions: Mapping[str, Callable[..., Any]] | None = None,
        **options: Any,
    ) -> Awaitable[Page]:
        """`path` follows `/checkout`; `script` runs before those of the page, and may call `functions`; `options` are those of a context."""


@asynccontextmanager
async def pages(stack: Stack) -> AsyncIterator[Open]:
    """Open pages in one browser. At the end, assert that no script failed, no policy was violated, and no other host was asked."""
    if CHROMIUM is None:
        pytest.fail("CI has no chromium: install it with `apt-get install --no-install-recommends chromium`")
    faults: list[str] = []
    asked: set[str] = set()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        async def opened(
            viewport: ViewportSize = DESKTOP,
            *,
            path: str = "",
            within: BrowserContext | None = None,
            script: str = "",
            functions: Mapping[str, Callable[..., Any]] | None = None,
            **options: Any,
        ) -> Page:
            context = within or await browser.new_context(viewport=viewport, **options)
            page = await context.new_page()
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on(
                "console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None
            )
            page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
            for name, function in (functions or {}).items():
                await page.expose_function(name, function)
            if script:
                await page.add_init_script(script)
            await page.goto(stack.checkout + path)
            await expect(page.locator("#main")).not_to_have_attribute("data-phase", "loading")
            return page

        yield opened
        await browser.close()
    assert faults == []
    assert asked <= {urlsplit(stack.api).netloc, urlsplit(stack.stripe).netloc, ""}


async def order(page: Page, amount: str, wallet: str | None = None) -> str:
    """Fill the form and send it, for the development wallet or a pasted address; return the purchase's id."""
    if wallet is None:
        await page.get_by_test_id("wallet-development").click()
    else:
        await page.get_by_test_id("wallet-address").fill(wallet)
    await page.get_by_test_id("amount").fill(amount)
    await expect(page.locator("#summary")).to_have_attribute("data-quote", "ready")
    await page.get_by_test_id("pay").click()
    return await purchase_id(page)


async def purchase_id(page: Page) -> str:
    shown = page.get_by_test_id("purchase-id")
    await expect(shown).to_have_text(re.compile("^ons_"))
    return await shown.text_content() or ""


def card_form(page: Page) -> FrameLocator:
    return page.get_by_test_id("stripe").frame_locator("iframe")


async def pay(page: Page, card: str) -> None:
    form = card_form(page)
    await form.get_by_test_id("card-number").fill(card)
    await form.get_by_test_id("card-expiry").fill("12 / 34")
    await form.get_by_test_id("card-cvc").fill("123")
    await form.get_by_test_id("pay").click()


async def completed(page: Page) -> None:
    """Wait until the page shows the proof."""
    await expect(page.get_by_test_id("proof-tx")).to_be_visible(timeout=PAID_TO_CONFIRMED_MS)
