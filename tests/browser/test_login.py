"""Log in on the checkout page with a wallet's key, see one's own purchases alone, and save the receipt."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from playwright.async_api import async_playwright, expect

from tests.browser.test_checkout import CHROMIUM, IN_CI

KEY = "0x" + "5a" * 31 + "01"
WALLET = Account.from_key(KEY).address
OTHER = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
PROVIDER = """
window.ethereum = { request: async ({ method, params }) =>
  method === "eth_requestAccounts" ? [WALLET] : window.signByKey(params[0]) };
""".replace("WALLET", f'"{WALLET.lower()}"')

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not IN_CI, reason="no chromium on this machine: the checkout page is not tested"
)


def sign(message: str) -> str:
    signed = Account.sign_message(encode_defunct(hexstr=message), KEY)
    return "0x" + bytes(signed.signature).hex()


async def begin(api: str, wallet: str) -> str:
    body = {"walletAddress": wallet, "sourceAmount": "25", "sourceCurrency": "usd"}
    async with aiohttp.ClientSession() as http:
        for _ in range(100):
            async with http.post(f"{api}/api/v1/onramp/sessions", json=body) as answer:
                made = await answer.json(content_type=None)
            if answer.status != 503:  # the hot wallet's stock is not read yet
                break
            await asyncio.sleep(0.2)
    assert answer.status == 201, made
    found: str = made["id"]
    return found


async def test_a_wallet_sees_its_own_purchases_and_saves_the_receipt(dev_stack: Any, tmp_path: Path) -> None:
    mine, other = await begin(dev_stack.api, WALLET), await begin(dev_stack.api, OTHER)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.expose_function("signByKey", sign)
        await page.add_init_script(PROVIDER)
        await page.goto(dev_stack.checkout)
        await page.get_by_test_id("login").click()
        own = page.get_by_test_id("own-purchase")
        await expect(own).to_have_count(1)
        assert await own.get_attribute("data-id") == mine != other
        async with page.expect_download() as started:
            await page.get_by_test_id("save-pdf").click()
        download = await started.value
        await download.save_as(tmp_path / "receipt.pdf")
        assert download.suggested_filename == f"receipt-{mine}.pdf"
        assert (tmp_path / "receipt.pdf").read_bytes().startswith(b"%PDF-")
        room = await page.evaluate("document.documentElement.clientWidth - document.documentElement.scrollWidth")
        assert room >= 0
        await browser.close()
