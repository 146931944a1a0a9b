"""The checkout page in a frame: a page of ALLOWED_ORIGINS may embed it, and no other can, in a real browser."""

from contextlib import AsyncExitStack

from aiohttp import web
from playwright.async_api import Browser, async_playwright, expect

from onramp.bootstrap.server import start_app
from onramp.dev.chain.anvil import free_port
from tests.support.browser import CHROMIUM, NEEDS_CHROMIUM
from tests.support.service import start_service

pytestmark = NEEDS_CHROMIUM


async def dapp(stack: AsyncExitStack, port: int, checkout: str) -> str:
    """Serve a page that embeds the checkout page; return its origin."""

    async def page(request: web.Request) -> web.Response:
        del request
        return web.Response(text=f"<!doctype html><iframe src='{checkout}'></iframe>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner, _ = await start_app(app, "127.0.0.1", port)
    stack.push_async_callback(runner.cleanup)
    return f"http://127.0.0.1:{port}"


async def embedded(browser: Browser, origin: str) -> tuple[bool, list[str]]:
    """Open the dApp; return whether the frame shows the checkout page, and what the browser says about frames."""
    page = await browser.new_page()
    lines: list[str] = []
    page.on("console", lambda line: lines.append(line.text) if "frame-ancestors" in line.text else None)
    await page.goto(origin, wait_until="load")
    title = page.frame_locator("iframe").locator("#title")
    is_shown = await title.count() == 1
    if is_shown:
        await expect(title).to_have_text("Buy MUSD")
    await page.close()
    return is_shown, lines


async def test_only_pages_of_allowed_origins_can_embed_the_checkout_page(sqlite_url: str) -> None:
    async with AsyncExitStack() as stack:
        allowed_port, other_port = free_port(), free_port()
        service = await start_service(
            stack, sqlite_url, stock=10**24, sandbox=None, ALLOWED_ORIGINS=f"http://127.0.0.1:{allowed_port}"
        )
        allowed = await dapp(stack, allowed_port, f"{service.api}/checkout")
        other = await dapp(stack, other_port, f"{service.api}/checkout")
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        assert await embedded(browser, allowed) == (True, [])
        is_shown, lines = await embedded(browser, other)
        assert not is_shown
        assert lines, "the browser names the policy that refused it"
        await browser.close()
