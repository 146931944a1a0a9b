"""Log in on the checkout page, see the wallet's own purchases only, and save the receipt: with an Ethereum key, and as a Mezo Passport user."""

import asyncio
import re
import secrets
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from coincurve import PrivateKey
from eth_account import Account
from eth_account.messages import encode_defunct
from playwright.async_api import Page, expect

from chain.signatures.bitcoin import account_of, hash_of, message_hash, parse_address
from tests.support import checkout_page
from tests.support.browser import DESKTOP, NEEDS_CHROMIUM, PHONE, save_screenshot

OTHER = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
DEVELOPMENT_BITCOIN = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"  # of the key 1, in BIP-173
ETHEREUM = """
window.ethereum = { request: async ({ method, params }) =>
  method === "eth_requestAccounts" ? ["%s"] : window.signByKey(params[0]) };
"""
PASSPORT = """
{
  const provider = { requestAccounts: async () => ["%s"], signMessage: (text, kind) => window.signByBitcoin(text, kind) };
  const detail = { info: { uuid: "passport", name: "Mezo Passport" }, provider };
  const announce = () => window.dispatchEvent(new CustomEvent("onramp:announceBitcoinWallet", { detail }));
  window.addEventListener("onramp:requestBitcoinWallet", announce);
}
"""

pytestmark = [pytest.mark.asyncio(loop_scope="module"), NEEDS_CHROMIUM]
Open = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def checkout(dev_stack: Any) -> AsyncIterator[checkout_page.Open]:
    async with checkout_page.pages(dev_stack) as opened_page:
        yield opened_page


@pytest.fixture
def opened(checkout: checkout_page.Open) -> Open:
    """Open the page with the wallet's script, and with functions that the script may call."""

    async def open_page(script: str = "", viewport: Any = DESKTOP, **functions: Any) -> Page:
        return await checkout(viewport, script=script, functions=functions)

    return open_page


async def begin(api: str, wallet: str) -> str:
    """Create a purchase for this wallet that waits for its payment; return its id."""
    body = {"walletAddress": wallet, "sourceAmount": "25", "sourceCurrency": "usd"}
    async with aiohttp.ClientSession() as http:
        for _ in range(300):
            async with http.post(f"{api}/api/v1/onramp/sessions", json=body) as answer:
                made = await answer.json(content_type=None)
            if answer.status != 503:  # the hot wallet's stock is not read yet
                break
            await asyncio.sleep(0.2)
    assert answer.status == 201, made
    found: str = made["id"]
    return found


async def save(page: Page, test_id: str, path: Path) -> str:
    """Click the element that saves a file, and store the file; return its name."""
    async with page.expect_download() as started:
        await page.get_by_test_id(test_id).first.click()
    download = await started.value
    await download.save_as(path)
    return download.suggested_filename


def text_of(pdf: bytes) -> str:
    """Return the text of a PDF whose pages are deflated."""
    assert pdf.startswith(b"%PDF-")
    found = []
    for part in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            found.append(zlib.decompress(part).decode("latin-1"))
        except zlib.error:
            continue
    return "".join(found)


async def own(page: Page) -> list[str | None]:
    return [await one.get_attribute("data-id") for one in await page.get_by_test_id("own-purchase").all()]


async def test_a_wallet_logs_in_sees_its_own_purchases_only_and_saves_the_receipt(
    opened: Open, dev_stack: Any, tmp_path: Path
) -> None:
    key = secrets.token_bytes(32)
    wallet = Account.from_key(key).address
    mine, other = await begin(dev_stack.api, wallet), await begin(dev_stack.api, OTHER)

    def sign(message: str) -> str:
        return "0x" + bytes(Account.sign_message(encode_defunct(hexstr=message), key).signature).hex()

    page = await opened(ETHEREUM % wallet.lower(), signByKey=sign)
    await page.get_by_test_id("wallet-injected").click()
    await expect(page.get_by_test_id("wallet-address")).to_have_value(wallet.lower())
    await page.get_by_test_id("login").click()
    await expect(page.get_by_test_id("own-purchase")).to_have_count(1)
    assert await own(page) == [mine] != [other]
    await expect(page.locator("#history")).to_have_attribute("data-account", wallet)
    await save_screenshot(page, "login-ethereum")
    assert await save(page, "save-pdf", tmp_path / "receipt.pdf") == f"receipt-{mine}.pdf"
    written = text_of((tmp_path / "receipt.pdf").read_bytes())
    assert mine in written and wallet in written
    assert await save(page, "save-csv", tmp_path / "all.csv") == "musd-purchases.csv"
    table = (tmp_path / "all.csv").read_text()
    assert mine in table and other not in table
    stored = await page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")
    assert "eyJ" not in stored, "a token is in this page's memory alone"
    await page.get_by_test_id("logout").click()
    await expect(page.get_by_test_id("own-purchase")).to_have_count(0)
    await expect(page.get_by_test_id("history-note")).to_contain_text("logged out")


async def test_a_wallet_that_declines_is_not_logged_in(opened: Open) -> None:
    script = "window.ethereum = { request: async ({ method }) => { if (method === 'eth_requestAccounts') return ['%s']; throw { code: 4001 }; } };"
    page = await opened(script % OTHER.lower())
    await expect(page.get_by_test_id("wallet-injected")).to_be_visible()
    await page.get_by_test_id("login").click()
    await page.get_by_test_id("login-injected").click()
    await expect(page.get_by_test_id("history-note")).to_have_text("You declined the request in your wallet.")
    await expect(page.get_by_test_id("logout")).to_be_hidden()


async def test_without_a_browser_wallet_the_development_wallet_logs_in(opened: Open, dev_stack: Any) -> None:
    page = await opened(viewport=PHONE)
    await page.get_by_test_id("wallet-development").click()
    address = await page.get_by_test_id("wallet-address").input_value()
    mine = await begin(dev_stack.api, address)
    await page.get_by_test_id("login").click()
    await expect(page.locator(f'[data-id="{mine}"]')).to_be_visible()
    await expect(page.locator("#history")).to_have_attribute("data-account", address)
    await save_screenshot(page, "login-development-phone")


async def test_a_bitcoin_test_key_logs_in_as_a_passport_user(opened: Open, dev_stack: Any, tmp_path: Path) -> None:
    account = account_of(parse_address(DEVELOPMENT_BITCOIN))
    mine, other = await begin(dev_stack.api, account), await begin(dev_stack.api, OTHER)
    page = await opened()
    await page.get_by_test_id("wallet-development-bitcoin").click()
    await expect(page.get_by_test_id("wallet-address")).to_have_value(account)
    await page.get_by_test_id("login").click()
    await expect(page.locator(f'[data-id="{mine}"]')).to_be_visible()
    assert other not in await own(page)
    await expect(page.locator("#history")).to_have_attribute("data-account", account)
    await save_screenshot(page, "login-bitcoin")
    named = await save(page, "save-pdf", tmp_path / "receipt.pdf")
    assert account in text_of((tmp_path / "receipt.pdf").read_bytes()) and named.startswith("receipt-ons_")


async def test_a_passport_wallet_passed_in_by_a_page_logs_in_with_its_own_signature(
    opened: Open, dev_stack: Any
) -> None:
    key = PrivateKey()
    address = nested(hash_of(key.public_key.format(), "p2sh-p2wpkh"))
    account = account_of(parse_address(address))
    mine = await begin(dev_stack.api, account)

    def sign(text: str, kind: str) -> str:
        assert kind == "ecdsa", "BIP-322 is not what Passport checks"
        assert f"with your Bitcoin account:\n{address}" in text
        raw = key.sign_recoverable(message_hash(text), hasher=None)
        return "0x" + (bytes([35 + raw[64]]) + raw[:64]).hex()

    page = await opened(PASSPORT % address, signByBitcoin=sign)
    await expect(page.get_by_test_id("wallet-passport")).to_be_visible()
    await page.get_by_test_id("login").click()
    await page.get_by_test_id("login-passport").click()
    await expect(page.get_by_test_id("own-purchase")).to_have_count(1)
    assert await own(page) == [mine]


def nested(script_hash: bytes) -> str:
    """Return the 3... address of a script's hash."""
    from hashlib import sha256

    raw = b"\x05" + script_hash
    raw += sha256(sha256(raw).digest()).digest()[:4]
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"[digit] + text
    return text
