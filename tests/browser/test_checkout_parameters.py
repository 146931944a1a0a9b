"""What a dApp may say in the checkout page's URL: amount, currency, wallet, reference, the way back, language and theme."""

import re
import secrets
from collections.abc import AsyncIterator
from urllib.parse import quote, urlencode

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.support.browser import NEEDS_CHROMIUM
from tests.support.checkout_page import GOOD_CARD, Open, Stack, card_form, completed, pages, pay, purchase_id

pytestmark = [pytest.mark.starts_first, pytest.mark.asyncio(loop_scope="module"), NEEDS_CHROMIUM]

DAPP = "http://localhost:5173"
"""Of Vite's development server, which `onramp dev` allows."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def checkout(dev_stack: Stack) -> AsyncIterator[Open]:
    async with pages(dev_stack) as opened:
        yield opened


async def text_of(page: Page, selector: str) -> str:
    return re.sub(r"\s", " ", await page.locator(selector).text_content() or "")


async def test_a_purchase_that_the_url_describes_is_paid_in_euro_and_leads_back(
    checkout: Open, dev_stack: Stack
) -> None:
    wallet, back = "0x" + secrets.token_hex(20), f"{DAPP}/done?order=17"
    order = {"amount": "1000.50", "currency": "eur", "wallet": wallet, "reference": "order 17", "returnUrl": back}
    page = await checkout(path="?" + urlencode(order | {"locale": "de-DE", "theme": "dark"}))
    await expect(page.get_by_test_id("amount")).to_have_value("1000,50")
    await expect(page.get_by_test_id("currency")).to_have_value("eur")
    await expect(page.get_by_test_id("wallet-address")).to_have_value(wallet)
    await expect(page.locator("#summary")).to_have_attribute("data-quote", "ready")
    assert "1.000,50 €" in await text_of(page, "#quote-rows")
    await page.get_by_test_id("pay").click()
    purchase = await purchase_id(page)
    assert page.url == f"{dev_stack.checkout}/s/{purchase}?locale=de-DE&theme=dark"
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{dev_stack.api}/api/v1/onramp/sessions/{purchase}") as answer,
    ):
        session = await answer.json()
    stored = {name: session[name] for name in ("sourceAmount", "sourceCurrency", "reference", "returnUrl", "locale")}
    assert stored == {
        "sourceAmount": "1000.50", "sourceCurrency": "eur", "reference": "order 17", "returnUrl": back, "locale": "de-DE",
    }  # fmt: skip
    await expect(page.get_by_test_id("back")).to_be_hidden()
    await expect(card_form(page).get_by_test_id("card-number")).to_be_visible()
    await pay(page, GOOD_CARD)
    await completed(page)
    await expect(page.get_by_test_id("status-title")).to_have_text("MUSD ist in Ihrer Wallet")
    await expect(page.get_by_test_id("back")).to_have_text("Zurück zu localhost:5173")
    assert await page.get_by_test_id("back").get_attribute("href") == back
    assert "1.000,50 €" in await text_of(page, "#quote-rows")

    # Whoever opens the bare link sees it in the language of the purchase.
    other = await checkout(path=f"/s/{purchase}")
    await completed(other)
    await expect(other.locator("html")).to_have_attribute("lang", "de")
    await expect(other.get_by_test_id("status-title")).to_have_text("MUSD ist in Ihrer Wallet")


async def test_a_way_back_to_another_origin_is_refused_and_nothing_is_sold(checkout: Open) -> None:
    wallet = "0x" + secrets.token_hex(20)
    page = await checkout(path=f"?wallet={wallet}&returnUrl={quote('https://evil.example/')}")
    await page.get_by_test_id("pay").click()
    await expect(page.get_by_test_id("notice")).to_contain_text(
        "The shop’s link is faulty. Please tell the shop. Nothing"
    )
    await expect(page.get_by_test_id("notice").locator(".reference")).to_contain_text("ALLOWED_ORIGINS")
    await expect(page.get_by_test_id("pay")).to_be_visible()


async def test_an_amount_that_may_mean_two_things_is_asked_about(checkout: Open) -> None:
    page = await checkout(path="?locale=en-US")
    amount, readings = page.get_by_test_id("amount"), page.get_by_test_id("amount-readings").get_by_role("button")
    for typed, choices in (("0,500", ["$0.50"]), ("1.000", ["$1.00", "$1,000.00"]), ("1.000,50", ["$1,000.50"])):
        await amount.fill(typed)
        await expect(page.locator("#amount-error")).to_have_text("Which amount do you mean?")
        await expect(readings).to_have_text(choices)
        await expect(page.locator("#summary")).to_have_attribute("data-quote", "none")
    await amount.fill("1.000")
    await readings.last.click()
    await expect(amount).to_have_value("1000")
    await expect(page.locator("#amount-error")).to_be_empty()
    await expect(page.locator("#quote-rows")).to_contain_text("$1,000.00")
    german = await checkout(path="?locale=de")
    await german.get_by_test_id("amount").fill("1.000,50")
    await expect(german.locator("#summary")).to_have_attribute("data-quote", "ready")
    assert "1.000,50 $" in await text_of(german, "#quote-rows")


async def test_an_amount_of_the_url_that_may_mean_two_things_is_asked_about(checkout: Open) -> None:
    page = await checkout(path="?amount=1.000&locale=de")
    amount, readings = page.get_by_test_id("amount"), page.get_by_test_id("amount-readings").get_by_role("button")
    await expect(amount).to_have_value("")
    await expect(readings).to_have_count(2)
    await amount.focus()
    await readings.last.click()
    await expect(amount).to_have_value("1000")


async def test_parameters_that_cannot_be_used_leave_the_form_as_it_is(checkout: Open) -> None:
    page = await checkout(path="?amount=lots&currency=btc&wallet=0x12&theme=neon&locale=tlh")
    await expect(page.get_by_test_id("amount")).to_have_value("")
    await expect(page.locator("#amount-error")).to_have_text("Enter an amount.")
    await expect(page.get_by_test_id("currency")).to_have_value("usd")
    await expect(page.locator("#wallet-error")).to_contain_text("An address starts with 0x")
    await expect(page.locator("html")).to_have_attribute("lang", "en")


async def test_the_theme_of_the_url_wins_over_the_browsers(checkout: Open) -> None:
    for theme, scheme, is_dark in (("dark", "light", True), ("light", "dark", False), ("auto", "dark", True)):
        page = await checkout(path=f"?theme={theme}", color_scheme=scheme)
        color = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (color == "rgb(16, 19, 19)") == is_dark, theme
