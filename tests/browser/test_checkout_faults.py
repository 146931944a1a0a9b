"""The checkout page where something is broken or unusual: network, streams, storage, clock, tabs, the back button, impatience, the keyboard alone."""

import re
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.support.browser import DESKTOP, NEEDS_CHROMIUM, PHONE
from tests.support.checkout_page import (
    GOOD_CARD,
    Open,
    Stack,
    card_form,
    completed,
    order,
    pages,
    pay,
    purchase_id,
)

pytestmark = [pytest.mark.starts_first, pytest.mark.asyncio(loop_scope="module"), NEEDS_CHROMIUM]

TOMORROW = "const Now = Date; Date = class extends Now { constructor(...a) { super(...(a.length ? a : [Now.now() + 864e5])); } static now() { return Now.now() + 864e5; } };"
NO_STORAGE = "for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError'); } });"
SLOW_4G = {
    "offline": False,
    "latency": 150,
    "downloadThroughput": 1.6 * 1024 * 1024 / 8,
    "uploadThroughput": 750 * 1024 / 8,
}
"""The round trip and the bandwidth that Lighthouse calls slow 4G."""
LONG_MS = 30_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def checkout(dev_stack: Stack) -> AsyncIterator[Open]:
    async with pages(dev_stack) as opened:
        yield opened


def wallet() -> str:
    return "0x" + secrets.token_hex(20)


async def form_is_there(page: Page) -> None:
    await expect(card_form(page).get_by_test_id("card-number")).to_be_visible()


async def test_without_streams_or_storage_and_with_a_wrong_clock_a_purchase_is_completed(checkout: Open) -> None:
    page = await checkout(script=TOMORROW + NO_STORAGE)
    await page.route("**/events", lambda route: route.abort())
    await page.route(
        re.compile(r"/later-\w+\.js$"), lambda route: route.abort()
    )  # it is asked for again, at another address
    assert await page.evaluate("new Date().getTime() - performance.timeOrigin - performance.now()") > 80_000_000
    purchase = await order(page, "25", wallet())
    await form_is_there(page)
    await pay(page, GOOD_CARD)
    await completed(page)
    assert page.url.endswith(f"/checkout/s/{purchase}")
    await page.reload()
    await completed(page)


async def test_a_second_tab_goes_on_with_the_purchase_and_both_see_its_end(checkout: Open) -> None:
    first = await checkout()
    purchase = await order(first, "25", wallet())
    await form_is_there(first)
    second = await checkout(within=first.context)
    await form_is_there(second)
    assert await purchase_id(second) == purchase
    await pay(first, GOOD_CARD)
    await completed(first)
    await completed(second)
    # A visit without the link is about another purchase.
    third = await checkout(within=first.context)
    await expect(third.get_by_test_id("pay")).to_be_visible()


async def test_on_another_device_the_link_follows_the_purchase_and_offers_no_second_payment(
    checkout: Open, dev_stack: Stack
) -> None:
    page = await checkout()
    purchase = await order(page, "25", wallet())
    other = await checkout(PHONE, path=f"/s/{purchase}")
    await expect(other.get_by_test_id("status-detail")).to_contain_text("on the device where you began it")
    await expect(other.get_by_test_id("hosted")).to_be_hidden()
    await expect(other.locator("#quote-rows")).to_contain_text("$25.00")
    await form_is_there(page)
    await pay(page, GOOD_CARD)
    await completed(other)
    await expect(other.get_by_test_id("link-url")).to_have_text(f"{dev_stack.checkout}/s/{purchase}")


async def test_the_back_button_leaves_the_page_and_forward_finds_the_same_purchase(
    checkout: Open, dev_stack: Stack
) -> None:
    page = await checkout()
    await page.goto(f"{dev_stack.api}/docs")
    await page.goto(dev_stack.checkout)
    purchase = await order(page, "25", wallet())
    await form_is_there(page)
    await page.go_back()
    await expect(page).to_have_url(f"{dev_stack.api}/docs")
    await page.go_forward()
    await form_is_there(page)
    assert await purchase_id(page) == purchase
    await page.get_by_test_id("cancel").click()
    await expect(page.get_by_test_id("pay")).to_be_visible()
    await expect(page).to_have_url(dev_stack.checkout)


async def test_two_clicks_make_one_purchase(checkout: Open) -> None:
    page = await checkout()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    await page.get_by_test_id("wallet-address").fill(wallet())
    await page.get_by_test_id("pay").dblclick()
    await purchase_id(page)
    await form_is_there(page)
    assert len([url for url in sent if url.endswith("/sessions")]) == 1


async def test_offline_the_page_says_that_the_purchase_goes_on_and_returns_by_itself(checkout: Open) -> None:
    page = await checkout()
    await order(page, "25", wallet())
    await form_is_there(page)
    await page.context.set_offline(True)
    await expect(page.get_by_test_id("notice")).to_contain_text("goes on without this page", timeout=LONG_MS)
    await expect(page.get_by_test_id("cancel")).to_be_hidden()
    await page.context.set_offline(False)
    await expect(page.get_by_test_id("notice")).to_be_hidden(timeout=LONG_MS)
    await expect(page.get_by_test_id("cancel")).to_be_visible()


async def test_while_the_service_restarts_a_purchase_is_begun_under_one_key_and_a_reload_waits_for_it(
    checkout: Open,
) -> None:
    page = await checkout()
    keys: list[str | None] = []
    await expect(page.locator("#summary")).to_have_attribute("data-quote", "ready")
    await page.route("**/api/v1/**", lambda route: route.abort("connectionrefused"))
    page.on(
        "request",
        lambda request: (
            keys.append(request.headers.get("idempotency-key")) if request.url.endswith("/sessions") else None
        ),
    )
    await page.get_by_test_id("wallet-address").fill(wallet())
    await page.get_by_test_id("pay").click()
    await expect(page.get_by_test_id("notice")).to_contain_text("Nothing has been charged; we keep trying")
    await page.unroute("**/api/v1/**")
    await form_is_there(page)
    assert len(keys) >= 2 and len(set(keys)) == 1
    await page.route("**/api/v1/**", lambda route: route.abort("connectionrefused"))
    await page.reload()
    await expect(page.get_by_test_id("notice")).to_contain_text("Please do not pay again", timeout=LONG_MS)
    await page.unroute("**/api/v1/**")
    await form_is_there(page)


async def test_a_purchase_is_begun_by_the_keyboard_alone(checkout: Open) -> None:
    page = await checkout()
    focused = "document.activeElement?.dataset.testid ?? document.activeElement?.id ?? ''"

    async def tab_to(name: str) -> None:
        for _ in range(30):
            await page.keyboard.press("Tab")
            if await page.evaluate(focused) == name:
                outline = await page.evaluate(
                    "(e => [getComputedStyle(e).outlineStyle, getComputedStyle(e).boxShadow, getComputedStyle(e.parentElement).boxShadow])(document.activeElement)"
                )
                assert outline[0] != "none" or {*outline[1:]} != {"none"}, f"the focus shows at {name}"
                return
        pytest.fail(f"the keyboard does not reach {name}")

    await tab_to("wallet-address")
    await page.keyboard.type(wallet())
    await tab_to("amount")
    await page.keyboard.press("Control+a")
    await page.keyboard.type("30")
    await tab_to("currency")
    await tab_to("quick-50")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("amount")).to_have_value("50")
    await tab_to("pay")
    await page.keyboard.press("Enter")
    await purchase_id(page)
    await expect(page.get_by_test_id("status-title")).to_be_focused()
    await form_is_there(page)
    await tab_to("cancel")
    await page.keyboard.press("Enter")
    await expect(page.locator("#title")).to_be_focused()


async def test_on_a_slow_phone_network_the_first_paint_takes_a_second_at_most(checkout: Open, dev_stack: Stack) -> None:
    page = await checkout(PHONE)
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    await session.send("Network.emulateNetworkConditions", SLOW_4G)
    await page.goto(dev_stack.checkout)
    await expect(page.locator("#main")).to_have_attribute("data-phase", "compose")
    painted = await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert painted <= 1000
    loaded = await page.evaluate(
        "performance.getEntriesByType('resource').filter((e) => /\\/checkout\\/.*\\.(js|css)$/.test(e.name)).map((e) => [e.name, e.encodedBodySize])"
    )
    first = [size for name, size in loaded if not re.search("/(development|later|dist)-", name)]
    assert len(first) <= 4 and 0 < sum(first) <= 20 * 1024


async def test_in_a_phone_without_a_wallet_the_page_can_be_opened_in_a_wallets_app(checkout: Open) -> None:
    page = await checkout(PHONE, is_mobile=True, has_touch=True, path="?amount=30")
    links = page.get_by_test_id("wallet-apps").get_by_role("link")
    await expect(links).to_have_count(3)
    assert (await links.first.get_attribute("href") or "").endswith("/checkout?amount=30")
    injected = "window.ethereum = { request: async () => ['0x" + "1" * 40 + "'] };"
    with_wallet = await checkout(PHONE, is_mobile=True, has_touch=True, script=injected)
    await expect(with_wallet.get_by_test_id("wallet-injected")).to_be_visible()
    await expect(with_wallet.get_by_test_id("wallet-apps")).to_be_hidden()
    desktop = await checkout(DESKTOP)
    await expect(desktop.get_by_test_id("wallet-apps")).to_be_hidden()
