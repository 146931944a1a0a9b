"""The page and the browser script in a real browser, alone and in a shop's page of another origin."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from playwright.async_api import FrameLocator, Page, async_playwright, expect

from tests.support.browser import CHROMIUM, NEEDS_CHROMIUM
from tests.support.stripe_sandbox import Sandbox, Serve

SESSIONS = "/v1/crypto/onramp_sessions"
pytestmark = NEEDS_CHROMIUM

SHOP = """<!doctype html><title>Shop</title><div id="pay"></div><script src="{url}/sandbox/stripe-onramp.js"></script><script>
window.heard = [];
const session = StripeOnramp("pk_test_1").createSession({{clientSecret: "{secret}", appearance: {{theme: "dark"}}}});
session.addEventListener("onramp_ui_loaded", (event) => heard.push(event.type));
session.addEventListener("onramp_session_updated", ({{payload}}) => heard.push(payload.session.status));
session.addEventListener("*", () => {{}});
session.mount("#pay");
</script>"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 375, "height": 800})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Security Policy" in line.text else None)
        yield page
        await browser.close()
        assert faults == []


async def pay(form: Page | FrameLocator, number: str) -> None:
    await form.get_by_test_id("card-number").fill(number)
    await form.get_by_test_id("card-expiry").fill("12 / 34")
    await form.get_by_test_id("card-cvc").fill("123")
    await form.get_by_test_id("pay").click()


async def test_a_person_edits_the_amount_is_declined_and_pays(page: Page, sandbox: Sandbox) -> None:
    session = await sandbox.create()
    await page.goto(f"{sandbox.url}/pay?{session['redirect_url'].rpartition('?')[2]}")
    await expect(page.get_by_test_id("total")).to_have_text("$104.10")
    await page.get_by_test_id("source-amount").fill("20")
    await expect(page.get_by_test_id("destination-amount")).to_contain_text("20.00 USDC on ethereum")
    await pay(page, "4000000000000002")
    await expect(page.get_by_test_id("message")).to_contain_text("declined")
    assert (await sandbox.get(f"{SESSIONS}/{session['id']}")).body["status"] == "requires_payment"
    await page.get_by_test_id("fill-test-card").click()
    await page.get_by_test_id("pay").click()
    await expect(page.get_by_test_id("stage")).to_have_text("Delivered")

    done = (await sandbox.get(f"{SESSIONS}/{session['id']}")).body
    assert (done["status"], done["transaction_details"]["destination_amount"]) == ("fulfillment_complete", "20.000000")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_an_open_session_offers_wallet_and_asset(page: Page, sandbox: Sandbox) -> None:
    session = (await sandbox.post()).body
    await page.goto(f"{sandbox.url}/pay?{session['redirect_url'].rpartition('?')[2]}")
    await page.get_by_test_id("wallet-address").fill("0x" + "cd" * 20)
    await page.get_by_test_id("asset").select_option("eth base")
    await expect(page.get_by_test_id("destination-amount")).to_contain_text("0.04 ETH on base")
    await pay(page, "4242424242424242")
    await expect(page.get_by_test_id("stage")).to_have_text("Delivered")
    assert (await sandbox.get(f"{SESSIONS}/{session['id']}")).body["transaction_details"][
        "destination_network"
    ] == "base"


async def test_the_script_frames_the_page_in_a_shop_and_emits_its_events(
    page: Page, sandbox: Sandbox, serve: Serve
) -> None:
    session = await sandbox.create()

    async def shop_page(_request: web.Request) -> web.Response:
        text = SHOP.format(url=sandbox.url, secret=session["client_secret"])
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", shop_page)
    await page.goto(await serve(app))
    await pay(page.frame_locator("iframe"), "4242424242424242")
    await expect(page.frame_locator("iframe").get_by_test_id("stage")).to_have_text("Delivered")

    heard = await page.evaluate("heard")
    assert heard == ["requires_payment", "onramp_ui_loaded", "fulfillment_processing", "fulfillment_complete"]
    assert await page.evaluate("Number(document.querySelector('iframe').getAttribute('height')) < 620")


async def test_an_address_that_names_no_payment_says_so(page: Page, sandbox: Sandbox) -> None:
    await page.goto(f"{sandbox.url}/pay?session_hash=nonsense")
    await expect(page.get_by_test_id("stage")).to_have_text("This payment cannot be shown")
