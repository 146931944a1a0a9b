"""Buy MUSD the way a person does: the checkout page in a real browser, against everything `onramp dev` starts.

What the page claims at the end is checked on the chain itself, over plain JSON-RPC, not over our API.
"""

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import aiohttp
import pytest
from playwright.async_api import Browser, FrameLocator, Page, ViewportSize, async_playwright, expect

from kit.money import parse_units
from tests.support.browser import CHROMIUM, DESKTOP, NEEDS_CHROMIUM, PHONE, save_screenshot

GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"
TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
BALANCE_OF = "0x70a08231"
PAID_TO_CONFIRMED_MS = 60_000

pytestmark = [pytest.mark.starts_first, NEEDS_CHROMIUM]


class Stack(Protocol):
    """The URLs that a running `onramp dev` prints."""

    api: str
    checkout: str
    rpc: str
    stripe: str


Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.fail("CI has no chromium: install it with `apt-get install --no-install-recommends chromium`")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        await running.close()


@pytest.fixture
async def checkout(browser: Browser, dev_stack: Stack) -> AsyncIterator[Open]:
    """Open the checkout page. At the end, assert that no script failed and the page's policy was not violated."""
    faults: list[str] = []

    async def opened(viewport: ViewportSize = DESKTOP, **options: Any) -> Page:
        context = await browser.new_context(viewport=viewport, **options)
        page = await context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
        await page.goto(dev_stack.checkout)
        await expect(page.get_by_test_id("pay")).to_be_visible()
        return page

    yield opened
    assert faults == []


async def rpc(url: str, method: str, *params: Any) -> Any:
    async with aiohttp.ClientSession() as http:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        async with http.post(url, json=request) as response:
            answer = await response.json(content_type=None)
    assert "error" not in answer, answer
    return answer["result"]


def as_word(address: str) -> str:
    return address.lower().removeprefix("0x").rjust(64, "0")


async def balance_of(url: str, token: str, holder: str) -> int:
    return int(await rpc(url, "eth_call", {"to": token, "data": BALANCE_OF + as_word(holder)}, "latest"), 16)


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


async def proof(page: Page) -> dict[str, str]:
    """Return what the page shows as proof, once it does."""
    await expect(page.get_by_test_id("proof-tx")).to_be_visible(timeout=PAID_TO_CONFIRMED_MS)
    names = ("amount", "from", "to", "token", "tx", "block", "block-hash", "agreed", "session")
    return {name: (await page.get_by_test_id(f"proof-{name}").text_content() or "").strip() for name in names}


async def assert_on_chain(url: str, shown: dict[str, str]) -> int:
    """Assert that the chain shows the same as the page; return the amount in base units."""
    amount = parse_units(shown["amount"].replace(",", ""), 18)
    receipt = await rpc(url, "eth_getTransactionReceipt", shown["tx"])
    assert int(receipt["status"], 16) == 1
    assert int(receipt["blockNumber"], 16) == int(shown["block"])
    assert receipt["blockHash"] == shown["block-hash"]
    transfers = [
        log
        for log in receipt["logs"]
        if log["address"].lower() == shown["token"].lower() and log["topics"][0] == TRANSFER_TOPIC
    ]
    assert len(transfers) == 1
    assert transfers[0]["topics"][1].removeprefix("0x") == as_word(shown["from"])
    assert transfers[0]["topics"][2].removeprefix("0x") == as_word(shown["to"])
    assert int(transfers[0]["data"], 16) == amount
    return amount


async def test_a_purchase_on_the_desktop_ends_with_a_proof_the_chain_confirms(checkout: Open, dev_stack: Stack) -> None:
    page = await checkout(DESKTOP)
    await page.get_by_test_id("wallet-development").click()
    await save_screenshot(page, "desktop-1-order")
    wallet = await page.get_by_test_id("wallet-address").input_value()
    token = (await page.evaluate("JSON.parse(document.getElementById('config').textContent)"))["musdAddress"]
    before = await balance_of(dev_stack.rpc, token, wallet)

    purchase = await order(page, "100")
    await expect(card_form(page).get_by_test_id("card-number")).to_be_visible()
    await save_screenshot(page, "desktop-2-payment")
    await pay(page, GOOD_CARD)
    await expect(page.get_by_test_id("step-payment")).to_have_attribute("data-state", "done")
    await save_screenshot(page, "desktop-3-progress")
    shown = await proof(page)
    await save_screenshot(page, "desktop-4-proof")

    assert shown["session"] == purchase
    assert shown["to"].lower() == wallet.lower()
    assert shown["token"].lower() == token.lower()
    assert len(shown["agreed"].split(", ")) >= 2
    assert await balance_of(dev_stack.rpc, token, wallet) - before == await assert_on_chain(dev_stack.rpc, shown) > 0
    await expect(page.get_by_test_id("step-completed")).to_have_attribute("data-state", "done")


async def test_a_purchase_on_a_dark_phone_for_a_pasted_address_arrives_there(checkout: Open, dev_stack: Stack) -> None:
    wallet = "0x" + secrets.token_hex(20)
    page = await checkout(PHONE, is_mobile=True, has_touch=True, color_scheme="dark")
    await save_screenshot(page, "phone-1-order")

    await order(page, "100", wallet)
    await expect(card_form(page).get_by_test_id("card-number")).to_be_visible()
    await save_screenshot(page, "phone-2-payment")
    await pay(page, GOOD_CARD)
    shown = await proof(page)
    await save_screenshot(page, "phone-3-proof")

    amount = await assert_on_chain(dev_stack.rpc, shown)
    assert shown["to"].lower() == wallet
    assert await balance_of(dev_stack.rpc, shown["token"], wallet) == amount > 0
    async with page.expect_download() as receipt:  # a buyer who pasted an address has no wallet here to log in with
        await page.get_by_test_id("proof-receipt").click()
    assert (await (await receipt.value).path()).read_bytes().startswith(b"%PDF-")


async def test_a_declined_card_can_be_followed_by_a_good_one(checkout: Open, dev_stack: Stack) -> None:
    page = await checkout(DESKTOP)
    purchase = await order(page, "100", "0x" + secrets.token_hex(20))

    await pay(page, DECLINED_CARD)
    await expect(card_form(page).get_by_text("declined").first).to_be_visible()
    await expect(page.get_by_test_id("step-payment")).to_have_attribute("data-state", "current")
    await save_screenshot(page, "desktop-declined")
    await pay(page, GOOD_CARD)

    shown = await proof(page)
    assert shown["session"] == purchase
    await assert_on_chain(dev_stack.rpc, shown)


async def test_a_reload_goes_on_with_the_same_purchase(checkout: Open, dev_stack: Stack) -> None:
    page = await checkout(PHONE, is_mobile=True, has_touch=True)
    purchase = await order(page, "100", "0x" + secrets.token_hex(20))
    await expect(card_form(page).get_by_test_id("card-number")).to_be_visible()

    await page.reload()
    await expect(card_form(page).get_by_test_id("card-number")).to_be_visible()
    assert await purchase_id(page) == purchase
    await pay(page, GOOD_CARD)
    await expect(page.get_by_test_id("step-payment")).to_have_attribute("data-state", "done")
    await page.reload()

    shown = await proof(page)
    assert shown["session"] == purchase
    await assert_on_chain(dev_stack.rpc, shown)
    await expect(page.locator("#quote-rows")).to_contain_text("$100.00")
    await expect(page.locator("#summary-lead")).to_have_text("You received")

    await page.route("**/quotes?*", lambda route: route.fulfill(status=503, json={"title": "Service Unavailable"}))
    await page.reload()
    await proof(page)
    await expect(page.locator("#quote-rows .row")).to_have_count(1)  # the refused estimate came, and took its rows away
    await expect(page.get_by_test_id("quote-musd")).to_have_text("100.00")
    await expect(page.get_by_test_id("notice")).to_be_hidden()


async def test_the_client_secret_is_nowhere_in_the_tabs_storage(checkout: Open) -> None:
    page = await checkout(DESKTOP)
    await order(page, "100")
    await expect(card_form(page).get_by_test_id("card-number")).to_be_visible()

    stored = await page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, location.href])")

    assert "ons_" in stored
    assert "secret" not in stored


async def test_an_address_with_a_wrong_checksum_is_refused_at_its_field(checkout: Open) -> None:
    page = await checkout(DESKTOP)
    await page.get_by_test_id("wallet-address").fill("0x70997970c51812dc3A010C7d01b50e0d17dc79C8")
    await page.get_by_test_id("pay").click()

    await expect(page.locator("#wallet-error")).to_have_text(re.compile(r"^The address has a wrong checksum.*\.$"))
    await expect(page.get_by_test_id("wallet-address")).to_be_focused()
    await expect(page.get_by_test_id("notice")).to_be_hidden()
    await save_screenshot(page, "desktop-refused-address")


async def test_the_page_titles_a_refusal_for_buyers(checkout: Open) -> None:
    page = await checkout(DESKTOP)
    refusal = {"status": 503, "title": "Service Unavailable", "detail": "Sales are paused just now.", "code": "paused"}
    await page.route("**/quotes?*", lambda route: route.fulfill(status=503, json=refusal))
    await page.get_by_test_id("amount").fill("101")

    await expect(page.get_by_test_id("notice")).to_have_text(
        re.compile("^Not available just nowSales are paused at the moment. Nothing has been charged")
    )


async def test_an_amount_above_the_limit_is_refused_before_anything_is_sent(checkout: Open) -> None:
    page = await checkout(DESKTOP)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    await page.get_by_test_id("wallet-development").click()
    await page.get_by_test_id("amount").fill("99999999")
    await page.get_by_test_id("pay").click()

    await expect(page.locator("#amount-error")).to_contain_text("largest purchase")
    await expect(page.get_by_test_id("amount")).to_be_focused()
    assert sent == []
