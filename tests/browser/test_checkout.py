"""Buy MUSD the way a person does: the checkout page in a real browser, against everything `onramp dev` starts.

What the page claims at the end is checked on the chain itself, over plain JSON-RPC, not over our API.
"""

import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from kit.money import parse_units
from tests.support.browser import DESKTOP, NEEDS_CHROMIUM, PHONE, save_screenshot
from tests.support.checkout_page import DECLINED_CARD, GOOD_CARD, Open, Stack, card_form, order, pages, pay, purchase_id

TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
BALANCE_OF = "0x70a08231"
PAID_TO_CONFIRMED_MS = 60_000

pytestmark = [pytest.mark.starts_first, pytest.mark.asyncio(loop_scope="module"), NEEDS_CHROMIUM]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def checkout(dev_stack: Stack) -> AsyncIterator[Open]:
    async with pages(dev_stack) as opened:
        yield opened


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
    await expect(page.get_by_test_id("step-payment")).to_have_attribute(
        "data-state", "done", timeout=PAID_TO_CONFIRMED_MS
    )
    await save_screenshot(page, "desktop-3-progress")
    shown = await proof(page)
    await save_screenshot(page, "desktop-4-proof")

    assert shown["session"] == purchase
    assert shown["to"].lower() == wallet.lower()
    assert shown["token"].lower() == token.lower()
    assert len(shown["agreed"].split(", ")) >= 2
    assert await balance_of(dev_stack.rpc, token, wallet) - before == await assert_on_chain(dev_stack.rpc, shown) > 0
    await expect(page.get_by_test_id("step-completed")).to_have_attribute(
        "data-state", "done", timeout=PAID_TO_CONFIRMED_MS
    )


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
    await expect(page.get_by_test_id("step-payment")).to_have_attribute(
        "data-state", "done", timeout=PAID_TO_CONFIRMED_MS
    )
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
        "Not available just nowSales are paused at the moment. Please try again later."
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


async def test_a_wallets_own_node_is_asked_for_the_transfer_and_the_wallet_lists_musd(
    checkout: Open, dev_stack: Stack
) -> None:
    wallet, asked = "0x" + secrets.token_hex(20), list[str]()

    async def request(method: str, params: list[Any]) -> Any:
        asked.append(method)
        if method == "eth_requestAccounts":
            return [wallet]
        if method == "wallet_switchEthereumChain" and "wallet_addEthereumChain" not in asked:
            return {"code": 4902}
        return True if method.startswith("wallet_") else await rpc(dev_stack.rpc, method, *params)

    script = (
        "window.ethereum = { request: async ({ method, params }) => { const answer = await window.askWallet(method, params ?? []);"
        " if (answer?.code) throw answer; return answer; } };"
    )
    page = await checkout(script=script)
    await page.expose_function("askWallet", request)
    await page.get_by_test_id("wallet-injected").click()
    await expect(page.get_by_test_id("wallet-address")).to_have_value(wallet)
    await page.get_by_test_id("pay").click()
    await expect(card_form(page).get_by_test_id("card-number")).to_be_visible()
    await pay(page, GOOD_CARD)
    await proof(page)
    await page.get_by_test_id("check-own").click()
    await expect(page.get_by_test_id("check-own")).to_have_text("Your wallet's node shows this transfer")
    assert "eth_getTransactionReceipt" in asked
    await page.get_by_test_id("watch-asset").click()
    await expect(page.get_by_test_id("watch-asset")).to_have_text("MUSD added")
    assert [method for method in asked if method.startswith("wallet_")] == [
        "wallet_switchEthereumChain",
        "wallet_addEthereumChain",
        "wallet_switchEthereumChain",
        "wallet_watchAsset",
    ]
