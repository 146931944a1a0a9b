"""The page behind an invitation's link, in a real browser, under its own policy."""

import secrets
from typing import Protocol

import aiohttp
from playwright.async_api import async_playwright, expect

from tests.support.browser import CHROMIUM, NEEDS_CHROMIUM

pytestmark = NEEDS_CHROMIUM


class Stack(Protocol):
    """The values that a running `onramp dev` prints."""

    api: str
    admin: str


async def test_the_link_shows_the_key_once(dev_stack: Stack) -> None:
    person, faults = "p" + secrets.token_hex(4), []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {dev_stack.admin}"}) as http:
        order = {"role": "viewer", "name": "wall", "person": person}
        async with http.post(f"{dev_stack.api}/api/v1/admin/invitations", json=order) as answer:
            link = (await answer.json())["link"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
        await page.goto(link)
        await page.get_by_role("button", name="Show my key").click()
        key = page.locator("#key")
        await expect(key).to_contain_text("ork_")
        await expect(page.get_by_role("status")).to_contain_text(person)
        secret = await key.text_content()
        assert "#" not in page.url, "a link that was used does not stay in the history"
        again = await browser.new_page()
        await again.goto(link)
        await again.get_by_role("button", name="Show my key").click()
        await expect(again.get_by_role("status")).to_contain_text("unknown, used, withdrawn or expired")
        await browser.close()
    assert faults == []
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {secret}"}) as http,
        http.get(f"{dev_stack.api}/api/v1/keys/me") as answer,
    ):
        assert (answer.status, (await answer.json())["person"]) == (200, person)
