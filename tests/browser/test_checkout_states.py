"""Every state of the checkout page: its own title and sentence, accessible, on a desktop and a phone, light and dark, at 200 %.

Which state a session is in is answered in the service's place, because a mismatch or an expiry cannot be had at will; the page is the real one.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, ViewportSize, expect

from tests.support.browser import (
    DESKTOP,
    NEEDS_CHROMIUM,
    PHONE,
    accessibility_violations,
    save_screenshot,
)
from tests.support.checkout_page import Open, Stack, card_form, order, pages
from tests.support.service import start_service

pytestmark = [pytest.mark.starts_first, pytest.mark.asyncio(loop_scope="module"), NEEDS_CHROMIUM]

ID = "ons_0123456789abcdef0123456789abcdef"
HASH = "0x" + "ab" * 32
WALLET = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
ZOOMED: ViewportSize = {"width": 640, "height": 430}
"""What a window of 1280 by 860 pixels shows at 200 %."""
WHEN = "2026-11-30T12:00:00Z"
PAYMENT = {
    "status": "initialized", "stripeSessionId": "cos_1", "destinationAmount": None, "destinationCurrency": "usdc",
    "destinationNetwork": "ethereum", "updatedAt": WHEN,
}  # fmt: skip
DELIVERY = {
    "status": "awaiting", "reason": None, "mode": "payout", "expectedAmount": "99.5", "txHash": None, "confirmations": 0,
    "overdue": False, "explorerUrl": None, "updatedAt": WHEN,
}  # fmt: skip
SESSION = {
    "id": ID, "walletAddress": WALLET, "sourceAmount": "100.00", "sourceCurrency": "usd", "payment": PAYMENT, "reference": None,
    "returnUrl": "https://shop.example/done", "locale": None, "redirectUrl": None, "createdAt": WHEN, "updatedAt": WHEN, "expiresAt": WHEN,
}  # fmt: skip
PROOF = {
    "status": "confirmed", "reason": None, "token": WALLET, "from": WALLET, "to": WALLET, "amount": "99.5", "expectedAmount": "99.5",
    "txHash": HASH, "logIndex": 1, "blockNumber": 37, "blockHash": HASH, "confirmations": 6, "agreedBy": ["alpha", "beta", "gamma"],
    "explorerUrl": f"https://explorer.example/tx/{HASH}", "chainId": 31611,
}  # fmt: skip
REASONS = (
    "waiting_for_second_node", "chain_paused", "payouts_paused", "awaiting_approval", "screening", "insufficient", "reorg",
)  # fmt: skip
STATES: dict[str, tuple[str, dict[str, Any]]] = {
    "elsewhere": ("awaiting_payment", {}),
    "processing": ("processing", {}),
    "delivering": ("delivering", {}),
    "seen": ("delivering", {"status": "seen", "confirmations": 2, "txHash": HASH}),
    **{reason: ("delivering", {"reason": reason}) for reason in REASONS},
    "completed": ("completed", {"status": "confirmed", "txHash": HASH}),
    "rejected": ("rejected", {}),
    "expired": ("expired", {}),
    "attention": ("attention", {"overdue": True}),
    "mismatch": ("attention", {"status": "mismatch"}),
    "unknown": ("frozen", {}),
}
"""The page's states -> the session's status, and what its delivery says."""
LOOKED_AT = ("elsewhere", "processing", "seen", "completed", "rejected", "attention", "unknown")
"""Those that look different; the others differ in their words."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def checkout(dev_stack: Stack) -> AsyncIterator[Open]:
    async with pages(dev_stack) as opened:
        yield opened


class Answers:
    """Answers in the service's place for one session, whose state may be changed."""

    def __init__(self) -> None:
        self.state = "elsewhere"

    async def install(self, page: Page) -> None:
        await page.route(re.compile(rf"/sessions/{ID}"), self._answer)

    async def _answer(self, route: Route) -> None:
        status, delivery = STATES[self.state]
        session = SESSION | {"status": status, "version": 1, "delivery": DELIVERY | delivery}
        if route.request.url.endswith("/events"):
            body = f"id: 1\nevent: session\ndata: {json.dumps(session)}\n\n"
            await route.fulfill(status=200, content_type="text/event-stream", body=body)
        else:
            await route.fulfill(status=200, json=PROOF if route.request.url.endswith("/delivery") else session)


async def look(page: Page, name: str) -> None:
    await save_screenshot(page, f"state-{name}")
    assert await accessibility_violations(page) == [], name


async def shown(page: Page, answers: Answers, state: str, query: str) -> tuple[str, str]:
    """Open the purchase in this state; return its title and its sentence."""
    answers.state = state
    # What an earlier state left behind, such as that the buyer has paid, is not part of this one.
    await page.evaluate("localStorage.clear()")
    await page.goto(f"{page.url.split('/checkout')[0]}/checkout/s/{ID}{query}")
    title = page.get_by_test_id("status-title")
    await expect(title).not_to_be_empty()
    if state == "completed":
        await expect(page.get_by_test_id("proof-tx")).to_be_visible()
    return await title.text_content() or "", await page.get_by_test_id("status-detail").text_content() or ""


@pytest.mark.parametrize(
    ("name", "viewport", "theme", "locale"),
    [("desktop", DESKTOP, "light", "en"), ("phone", PHONE, "dark", "de"), ("zoomed", ZOOMED, "dark", "ja")],
)
async def test_every_state_has_its_own_words_and_is_accessible(
    checkout: Open, name: str, viewport: ViewportSize, theme: str, locale: str
) -> None:
    page, answers = await checkout(viewport), Answers()
    await answers.install(page)
    query = f"?theme={theme}&locale={locale}"
    words: dict[str, tuple[str, str]] = {}
    for state in STATES if name == "desktop" else LOOKED_AT:
        words[state] = await shown(page, answers, state, query)
        # Only a purchase that is over offers another one, and the way back.
        is_over = state in {"completed", "rejected", "expired"}
        await expect(page.get_by_test_id("restart")).to_be_visible(visible=is_over)
        await expect(page.get_by_test_id("back")).to_be_visible(visible=is_over)
        if state in LOOKED_AT:
            await look(page, f"{name}-{state}")
    details = {detail for _, detail in words.values()}
    assert len(details) == len(words), "each state has a sentence of its own"
    assert all(detail and not re.search(r"[{}]|undefined", detail) for detail in details)
    background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(16, 19, 19)") == (theme == "dark")
    await shown(page, answers, "rejected", query)
    assert await page.get_by_test_id("back").get_attribute("href") == "https://shop.example/done"


async def test_the_form_and_its_errors_are_accessible(checkout: Open) -> None:
    for name, viewport, query in (
        ("desktop", DESKTOP, "?theme=light"),
        ("phone", PHONE, "?theme=dark"),
        ("zoomed", ZOOMED, "?theme=light&locale=fr"),
    ):
        page = await checkout(viewport, path=query)
        await expect(page.locator("#summary")).to_have_attribute("data-quote", "ready")
        await look(page, f"{name}-form")
        await page.get_by_test_id("wallet-address").fill("0x12")
        await page.get_by_test_id("amount").fill("0,500")
        await page.get_by_test_id("pay").click()
        await expect(page.get_by_test_id("wallet-address")).to_be_focused()
        await look(page, f"{name}-form-errors")
        await page.get_by_test_id("login").click()
        await expect(page.get_by_test_id("login-development")).to_be_visible()
        await look(page, f"{name}-history")


async def test_stripes_form_and_the_way_around_it_are_accessible(checkout: Open) -> None:
    page = await checkout(DESKTOP, color_scheme="dark")
    await order(page, "100")
    await expect(card_form(page).get_by_test_id("card-number")).to_be_visible()
    await page.locator("#link summary").click()
    await expect(page.get_by_test_id("link-qr").locator("svg")).to_be_visible()
    await look(page, "desktop-payment")

    blocked = await checkout(PHONE)
    await blocked.route("**/stripe-onramp.js", lambda route: route.abort())
    await blocked.reload()
    await order(blocked, "100", WALLET)
    await expect(blocked.get_by_test_id("status-detail")).to_contain_text("an ad blocker may be the reason")
    await look(blocked, "phone-blocked")
    async with blocked.context.expect_page() as opened:
        await blocked.get_by_test_id("hosted").click()
    await expect((await opened.value).get_by_test_id("card-number")).to_be_visible()
    await blocked.unroute("**/stripe-onramp.js")
    await blocked.get_by_test_id("retry").click()
    await expect(card_form(blocked).get_by_test_id("card-number")).to_be_visible()


async def test_a_link_without_a_purchase_says_so(checkout: Open) -> None:
    page = await checkout(PHONE, path="/s/ons_ffffffffffffffffffffffffffffffff")
    await expect(page.get_by_test_id("notice")).to_contain_text("There is no purchase at this link.")
    await expect(page.locator("#summary")).to_have_attribute("data-quote", "ready")
    await expect(page.get_by_test_id("notice")).to_contain_text("do not pay again; open the link you were given")
    await expect(page.get_by_test_id("notice")).not_to_contain_text("charged")
    await look(page, "phone-no-purchase")
    broken = await checkout(PHONE, path="/s/%3Cons")
    await expect(broken.get_by_test_id("notice")).to_contain_text("There is no purchase at this link.")


async def test_from_right_to_left_nothing_is_cut_or_overlaps(checkout: Open) -> None:
    page, answers = await checkout(DESKTOP), Answers()
    await answers.install(page)
    await page.evaluate("document.documentElement.dir = 'rtl'")
    form, summary = await page.locator("#compose").bounding_box(), await page.locator("#summary").bounding_box()
    assert form is not None and summary is not None and summary["x"] + summary["width"] < form["x"]
    await look(page, "rtl-form")
    for state in ("processing", "completed"):
        await shown(page, answers, state, "")
        await page.evaluate("document.documentElement.dir = 'rtl'")
        await look(page, f"rtl-{state}")
    dot = await page.locator("#step-payment .dot").bounding_box()
    name = await page.locator("#step-payment").bounding_box()
    assert dot is not None and name is not None and abs(dot["x"] + dot["width"] - name["x"] - name["width"]) < 2


async def test_where_servers_create_purchases_the_page_offers_none_and_follows_them(
    sqlite_url: str, checkout: Open
) -> None:
    async with AsyncExitStack() as stack:
        service = await start_service(
            stack, sqlite_url, stock=10**24, sandbox=None, SESSION_CREATION="keyed", MERCHANT_NAME="Shop of Ada"
        )
        page, answers, sent = await checkout(DESKTOP), Answers(), list[str]()
        await page.close()
        page = await page.context.new_page()
        await answers.install(page)
        page.on("request", lambda request: sent.append(request.method + " " + request.url))
        await page.goto(f"{service.api}/checkout")
        await expect(page.get_by_test_id("keyed")).to_contain_text(
            "Purchases begin in the app or shop that you buy from"
        )
        for hidden in ("pay", "amount", "wallet-address", "quote-musd"):
            await expect(page.get_by_test_id(hidden)).to_be_hidden()
        await look(page, "desktop-keyed")
        assert not any("POST" in line or "/quotes" in line for line in sent)
        await shown(page, answers, "completed", "")
        await expect(page.get_by_test_id("back")).to_have_text("Back to Shop of Ada")
        await expect(page.get_by_test_id("restart")).to_be_hidden()
        await page.close()
