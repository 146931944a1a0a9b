"""The example dApp as `make example` starts it, in a real browser: its own origin and server, React in strict mode, a wallet found by EIP-6963."""

import os
import re
import subprocess
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from onramp.dev.chain.anvil import free_port
from tests.support.browser import (
    CHROMIUM,
    DESKTOP,
    IN_CI,
    NEEDS_CHROMIUM,
    PHONE,
    accessibility_violations,
    save_screenshot,
)
from tests.support.dev_stack import DevStack, dev_process
from tests.support.paths import ROOT

EXAMPLE = ROOT / "client" / "example"
START_SECONDS = 60
PAID_TO_CONFIRMED_MS = 60_000

pytestmark = [
    pytest.mark.starts_first,
    NEEDS_CHROMIUM,
    pytest.mark.skipif(
        not (EXAMPLE / "node_modules").is_dir() and not IN_CI,
        reason="`make client/example/node_modules/.ready` installs the example",
    ),
]


@pytest.fixture(scope="module")
def port() -> int:
    """The port of the dApp's pages."""
    return free_port()


@pytest.fixture(scope="module")
def service(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """A service that allows the dApp's origin."""
    with dev_process(tmp_path_factory.mktemp("example"), ALLOWED_ORIGINS=f"http://127.0.0.1:{port}") as stack:
        yield stack


@pytest.fixture(scope="module")
def shop(port: int, service: DevStack) -> Iterator[str]:
    """The dApp, as a person starts it; its URL."""
    variables = {
        "ONRAMP_URL": service.api,
        "ONRAMP_KEY": service.dapp,
        "PORT": str(port),
        "SERVER_PORT": str(free_port()),
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
    }
    process = subprocess.Popen(
        ["node", "start.mjs"], cwd=EXAMPLE, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    impatience = threading.Timer(START_SECONDS, process.kill)
    impatience.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        impatience.cancel()
        assert f"http://127.0.0.1:{port}/" in line, line + process.stdout.read()
        yield f"http://127.0.0.1:{port}/"
    finally:
        impatience.cancel()
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


async def connect(page: Page) -> None:
    """Connect the development wallet, and add Mezo to it."""
    await page.get_by_role("button", name="Development wallet").click()
    await page.get_by_role("button", name="Add Mezo testnet to the wallet").click()
    await expect(page.get_by_role("button", name="Add Mezo testnet to the wallet")).to_have_count(0)


async def pay(page: Page) -> None:
    form = page.locator(".onramp-form").frame_locator("iframe")
    await form.get_by_test_id("card-number").fill("4242424242424242")
    await form.get_by_test_id("card-expiry").fill("12 / 34")
    await form.get_by_test_id("card-cvc").fill("123")
    await form.get_by_test_id("pay").click()


async def examined(page: Page, name: str) -> None:
    await save_screenshot(page, f"example-{name}")
    assert await accessibility_violations(page) == [], name


async def balance(page: Page) -> float:
    shown = page.get_by_test_id("balance")
    await expect(shown).to_have_text(re.compile(r"\d.*MUSD|MUSD.*\d"))
    return float(re.sub(r"[^\d.]", "", await shown.inner_text()))


async def test_by_components_a_purchase_is_delivered_and_verified_by_the_wallets_own_node(
    browser: Browser, shop: str
) -> None:
    page = await browser.new_page(viewport=DESKTOP)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    await page.goto(shop)
    await expect(page.get_by_text("Connect a wallet to buy.")).to_be_visible()
    await examined(page, "1-start")
    await connect(page)
    before = await balance(page)
    await page.get_by_label("You pay").fill("25")
    await page.get_by_role("button", name="Buy MUSD").click()
    await pay(page)
    await expect(page.get_by_text("MUSD arrived in your wallet.")).to_be_visible(timeout=PAID_TO_CONFIRMED_MS)
    await expect(page.get_by_test_id("balance")).not_to_have_text(
        re.compile(rf"^\D*{re.escape(f'{before:g}')}(\.0+)?\D*$")
    )
    assert await balance(page) > before + 20

    await page.get_by_role("button", name="Log in with the wallet").click()
    mine = page.get_by_role("region", name="My purchases")
    await mine.get_by_role("button", name="Verify").click()
    await expect(mine.get_by_text("Your wallet's node shows the transfer")).to_be_visible()
    await examined(page, "2-verified")
    assert faults == []


async def test_by_hooks_on_a_dark_phone_the_server_names_the_price_and_fulfils_the_order(
    browser: Browser, service: DevStack, shop: str
) -> None:
    context = await browser.new_context(viewport=PHONE, color_scheme="dark", has_touch=True)
    page = await context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    await page.goto(f"{shop}hooks.html")
    await connect(page)
    await examined(page, "3-choice")
    await page.get_by_role("button", name="Buy", exact=True).click()
    await pay(page)
    await expect(page.get_by_text(re.compile(r"Order order-\w+ is fulfilled\."))).to_be_visible(
        timeout=PAID_TO_CONFIRMED_MS
    )
    await expect(page.get_by_text("MUSD arrived.")).to_be_visible()
    await examined(page, "4-fulfilled")
    # The server created it with its key, at its own price, and finds it by the order's reference.
    reference = (await page.get_by_text("is fulfilled").inner_text()).split()[1]
    found = await page.request.get(
        f"{service.api}/api/v1/onramp/sessions?reference={reference}",
        headers={"Authorization": f"Bearer {service.dapp}"},
    )
    (session,) = (await found.json())["data"]
    assert (session["sourceAmount"], session["status"]) == ("50.00", "completed")
    # The page cannot name a price: the server knows what it sells.
    refusal = await page.evaluate(
        "fetch('/api/orders', {method: 'POST', body: JSON.stringify({reference: 'free', walletAddress: '0x1', sourceAmount: '1', idempotencyKey: 'k'})}).then((r) => r.status)"
    )
    assert refusal == 422
    assert [fault for fault in faults if "422" not in fault] == []


@pytest.mark.parametrize(("origin", "allowed"), [("http://localhost:5173", True), ("http://localhost:5199", False)])
def test_pages_where_vite_serves_them_may_use_a_development_service(
    service: DevStack, origin: str, allowed: bool
) -> None:
    url = f"{service.api}/api/v1/onramp/quotes?sourceAmount=10&sourceCurrency=usd"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Origin": origin}), timeout=30) as response:
        assert (response.headers["Access-Control-Allow-Origin"] == origin) is allowed
