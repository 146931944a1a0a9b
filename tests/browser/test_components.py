"""The client's React components on a dApp's page in a real browser: another origin than the service, React in strict mode."""

import re
import secrets
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from aiohttp import web
from eth_account import Account
from eth_account.messages import encode_defunct
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from onramp.dev.chain.anvil import free_port
from tests.support.browser import CHROMIUM, DESKTOP, NEEDS_CHROMIUM, save_screenshot
from tests.support.dev_stack import DevStack, dev_process, post_json
from tests.support.paths import ROOT

CLIENT = ROOT / "client"
GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Shop</title>'
    '<link rel="icon" href="data:,"><link rel="stylesheet" href="/styles.css"><div id="app"></div><script src="/shop.js"></script>'
)
ARRIVED = re.compile(r"MUSD arrived in your wallet\.")
PAID_TO_CONFIRMED_MS = 60_000

pytestmark = [pytest.mark.starts_first, NEEDS_CHROMIUM]
Tab = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="module")
def port() -> int:
    """The port of the dApp's own server."""
    return free_port()


@pytest.fixture(scope="module")
def service(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """A service that allows the dApp's origin."""
    with dev_process(tmp_path_factory.mktemp("shop"), ALLOWED_ORIGINS=f"http://127.0.0.1:{port}") as stack:
        yield stack


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's script: the component, the client and React in one file."""
    source, result = CLIENT / "test" / "browser" / "shop.tsx", tmp_path_factory.mktemp("bundle") / "shop.js"
    options = ("--bundle", "--jsx=automatic", "--log-level=error", '--define:process.env.NODE_ENV="development"')
    esbuild = CLIENT / "node_modules" / "esbuild" / "bin" / "esbuild"
    subprocess.run([esbuild, source, *options, f"--outfile={result}"], check=True, cwd=CLIENT)
    return result


@pytest.fixture
async def shop(port: int, bundle: Path) -> AsyncIterator[str]:
    """The dApp's server: a page, the bundle, the style sheet."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def file(request: web.Request) -> web.FileResponse:
        return web.FileResponse(bundle if request.path == "/shop.js" else CLIENT / "dist" / "styles.css")

    app = web.Application()
    app.add_routes([web.get("/", page), web.get("/shop.js", file), web.get("/styles.css", file)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}/"
    await runner.cleanup()


@pytest.fixture
async def context() -> AsyncIterator[BrowserContext]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield await browser.new_context(viewport=DESKTOP)
        await browser.close()


@pytest.fixture
async def tab(context: BrowserContext, service: DevStack, shop: str) -> AsyncIterator[Tab]:
    """Open the page in a tab; tabs share a storage. At the end, assert that no script failed and no other host was asked."""
    faults: list[str] = []
    asked: set[str] = set()
    context.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    wallet = "0x" + secrets.token_hex(20)

    async def opened(**more: str) -> Page:
        page = await context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        settings = {
            "api": service.api,
            "rpc": service.rpc,
            "wallet": wallet,
            **more,
        }
        await page.goto(f"{shop}?{urlencode(settings)}")
        return page

    yield opened
    assert faults == []
    assert asked <= {urlsplit(url).netloc for url in (service.api, service.stripe, service.rpc, shop)} | {""}


def card_form(page: Page) -> Any:
    return page.locator(".onramp-form").frame_locator("iframe")


async def buy(page: Page) -> None:
    """Order, and wait for Stripe's form."""
    await page.get_by_role("button", name="Buy MUSD").click()
    await expect(card_form(page).get_by_test_id("card-number")).to_be_visible()


async def pay(page: Page, card: str) -> None:
    form = card_form(page)
    await form.get_by_test_id("card-number").fill(card)
    await form.get_by_test_id("card-expiry").fill("12 / 34")
    await form.get_by_test_id("card-cvc").fill("123")
    await form.get_by_test_id("pay").click()


async def session_id(page: Page) -> str:
    return str(await page.evaluate("JSON.parse(localStorage.getItem('onramp.purchase')).id"))


async def arrived(page: Page) -> None:
    await expect(page.get_by_text(ARRIVED)).to_be_visible(timeout=PAID_TO_CONFIRMED_MS)


async def test_a_purchase_with_a_declined_card_is_completed_and_reported_once(tab: Tab) -> None:
    page = await tab()
    await expect(page.get_by_text(re.compile(r"You receive about .*MUSD\. In total you pay \$"))).to_be_visible()
    await save_screenshot(page, "component-1-order")
    await buy(page)
    await page.get_by_role("button", name="Render again").click()
    await expect(page.locator(".onramp-form iframe")).to_have_count(1)
    await save_screenshot(page, "component-2-payment")
    await pay(page, DECLINED_CARD)
    await expect(card_form(page).get_by_text("declined").first).to_be_visible()
    await pay(page, GOOD_CARD)
    await arrived(page)
    await save_screenshot(page, "component-3-done")
    await expect(page.locator(".onramp-form iframe")).to_have_count(0)
    assert await page.evaluate("completions") == [await session_id(page)]
    await page.get_by_role("button", name="Verify").click()
    await expect(page.get_by_text(re.compile(r"Verified: \d{20,}$"))).to_be_visible()

    await page.reload()
    await arrived(page)
    assert await page.evaluate("completions") == []
    await page.get_by_role("button", name="Start a new purchase").click()
    await expect(page.get_by_role("button", name="Buy MUSD")).to_be_visible()


async def test_a_reload_and_a_second_tab_go_on_with_the_same_purchase(tab: Tab) -> None:
    first = await tab()
    await buy(first)
    purchase = await session_id(first)
    await first.reload()
    await expect(card_form(first).get_by_test_id("card-number")).to_be_visible()
    second = await tab()
    await expect(card_form(second).get_by_test_id("card-number")).to_be_visible()
    await expect(second.get_by_role("button", name="Buy MUSD")).to_have_count(0)
    await pay(first, GOOD_CARD)
    await arrived(first)
    await arrived(second)
    assert await session_id(second) == purchase
    reports = [*await first.evaluate("completions"), *await second.evaluate("completions")]
    assert reports == [purchase]
    assert "secret" not in await first.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")


async def test_a_button_opens_the_purchase_which_outlives_its_dialog(tab: Tab) -> None:
    page = await tab(button="yes")
    dialog = page.get_by_role("dialog")
    button = page.get_by_role("button", name="Buy MUSD")
    await button.click()
    await expect(page.get_by_label("You pay")).to_be_focused()
    await save_screenshot(page, "component-dialog")
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(button).to_be_focused()

    await page.keyboard.press("Enter")
    await dialog.get_by_role("button", name="Buy MUSD").click()
    await expect(dialog.get_by_role("heading", name="Your purchase")).to_be_focused()
    await expect(card_form(page).get_by_test_id("card-number")).to_be_visible()
    await card_form(page).get_by_test_id("card-number").fill(GOOD_CARD)
    await page.get_by_role("button", name="Close").click()
    purchase = page.get_by_role("button", name="Your purchase")
    await purchase.click()
    await expect(card_form(page).get_by_test_id("card-number")).to_have_value("4242 4242 4242 4242")
    reference = await session_id(page)

    await page.reload()
    await expect(page.locator(".onramp-form iframe")).to_have_count(0)
    await purchase.click()
    await pay(page, GOOD_CARD)
    await expect(page.get_by_text(re.compile("is being processed|You have paid|arrived"))).to_be_visible()
    reported = await page.evaluate("completions")
    await page.reload()
    # The dialog is not opened again, and the dApp is told.
    await page.wait_for_function(f"completions.length + {len(reported)} === 1", timeout=PAID_TO_CONFIRMED_MS)
    assert [*reported, *await page.evaluate("completions")] == [reference]
    await purchase.click()
    await arrived(page)
    await page.keyboard.press("Escape")
    await button.click()
    await expect(page.get_by_label("You pay")).to_be_focused()


async def test_a_blocked_script_leaves_stripes_own_page(tab: Tab, context: BrowserContext) -> None:
    await context.route("**/stripe-onramp.js", lambda route: route.abort())
    page = await tab()
    await page.get_by_role("button", name="Buy MUSD").click()
    await expect(page.get_by_text("an ad blocker may be the reason")).to_be_visible()
    await save_screenshot(page, "component-blocked")
    await page.get_by_role("link", name="Pay on Stripe's own page").click()
    await expect(page.get_by_test_id("card-number")).to_be_visible()


async def test_offline_nothing_is_offered_until_the_service_answers_again(tab: Tab, context: BrowserContext) -> None:
    page = await tab()
    await buy(page)
    await expect(page.get_by_role("button", name="Start a new purchase")).to_be_visible()
    await context.set_offline(True)
    await expect(page.get_by_text("We cannot reach the service just now")).to_be_visible(timeout=30_000)
    await expect(page.get_by_role("button", name="Start a new purchase")).to_have_count(0)
    await context.set_offline(False)
    await expect(page.get_by_role("button", name="Start a new purchase")).to_be_visible(timeout=30_000)
    await expect(page.get_by_text("We cannot reach the service just now")).to_have_count(0)


async def test_a_wallet_logs_in_and_follows_its_own_purchases(
    tab: Tab, context: BrowserContext, service: DevStack
) -> None:
    key = secrets.token_bytes(32)
    wallet = Account.from_key(key).address

    def sign(message: str) -> str:
        return str(Account.sign_message(encode_defunct(hexstr=message), key).signature.to_0x_hex())

    await context.expose_function("signByKey", sign)
    await context.add_init_script(
        "window.ethereum = { request: async ({ method, params }) =>"
        f' method === "eth_requestAccounts" ? ["{wallet}"] : window.signByKey(params[0]) }};'
    )
    body = {"walletAddress": wallet, "sourceAmount": "25", "sourceCurrency": "usd"}
    status, made = post_json(f"{service.api}/api/v1/onramp/sessions", body)
    assert status == 201, made
    page = await tab(mine="yes")
    mine = page.get_by_role("region", name="My purchases")
    await mine.get_by_role("button", name="Log in").click()
    await expect(mine.get_by_role("status")).to_have_text(re.compile("Nothing has been charged"))
    advance = f"{service.stripe}/sandbox/onramp_sessions/{made['payment']['stripeSessionId']}/advance"
    assert post_json(advance, {"status": "fulfillment_complete"})[0] == 200
    await expect(mine.get_by_role("status")).to_have_text(ARRIVED, timeout=PAID_TO_CONFIRMED_MS)
    await mine.get_by_role("button", name="Log out").click()
    await expect(mine.get_by_role("status")).to_have_count(0)


async def test_an_unclear_amount_is_asked_about_in_the_buyers_own_form(tab: Tab) -> None:
    page = await tab(locale="de-DE")
    amount = page.get_by_label("You pay")
    await amount.fill("1,000")
    await expect(page.get_by_role("status").filter(has_text="Please say which you mean")).to_have_text(
        re.compile(r"1,00.\$ / 1\.000,00.\$")
    )
    await expect(page.get_by_role("button", name="Buy MUSD")).to_be_disabled()
    await amount.fill("100000")
    await expect(page.get_by_role("status").filter(has_text="Enter between")).to_have_text(
        re.compile(r"1,00.\$ and 10\.000,00.\$")
    )
    await expect(page.get_by_role("button", name="Buy MUSD")).to_be_disabled()
    await amount.fill("1.000")
    await expect(page.get_by_text(re.compile(r"In total you pay 1\.0\d\d,\d\d.\$"))).to_be_visible()
