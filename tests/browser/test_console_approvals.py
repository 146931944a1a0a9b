"""An operator proposes a sweep in the console, another person approves it by passkey, and it arrives in the Safe and can be proved."""

import json
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from kit.db.database import connect
from kit.signed_plans import service as signed_plans
from onramp.config.loader import load
from tests.support.browser import DESKTOP, NEEDS_CHROMIUM, accessibility_violations, save_screenshot
from tests.support.command_line import run_onramp
from tests.support.console_page import Console, consoles, go, virtual_authenticator
from tests.support.dev_stack import DevStack, post_json

pytestmark = [pytest.mark.asyncio(loop_scope="module"), NEEDS_CHROMIUM]
ARRIVES_MS: Final = 60_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console(dev_stack: DevStack) -> AsyncIterator[Console]:
    async with consoles(dev_stack) as opened:
        yield opened


def environment(stack: DevStack) -> dict[str, str]:
    """Return the settings of the running stack, as its printed line loads them into a shell."""
    line = next(line for line in stack.printed if line.startswith("Commands in another shell"))
    found = re.search(r"`set -a; \. (\S+); set \+a`", line)
    assert found is not None
    pairs = (text.partition("=") for text in Path(found[1]).read_text().splitlines())
    return {name: "".join(shlex.split(value)) for name, _, value in pairs} | {"PATH": "/usr/bin:/bin", "COLUMNS": "200"}


def musd(stack: DevStack, holder: str) -> int:
    call = {"to": environment(stack)["MUSD_TOKEN_ADDRESS"], "data": "0x70a08231" + holder[2:].lower().rjust(64, "0")}
    body = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"]}
    return int(post_json(stack.rpc, body)[1]["result"], 16)


async def permit(stack: DevStack, person: str) -> str:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {stack.admin}"}) as http,
        http.post(f"{stack.api}/api/v1/admin/passkeys/permissions", json={"person": person}) as answer,
    ):
        secret: str = (await answer.json())["permission"]
        return secret


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ada(console: Console) -> Page:
    """The approver's page, on a device with a passkey that she has enrolled with an admin's permission."""
    page = await console.log_in("approver", "/people", DESKTOP)
    await virtual_authenticator(page.context, page)
    await page.get_by_role("button", name="Enrol a passkey").click()
    await page.locator("dialog input[name=name]").fill("Laptop")
    await page.locator("dialog input[name=permission]").fill(await permit(console.stack, "ada"))
    await page.get_by_test_id("dialog-go").click()
    await page.get_by_test_id("dialog-go").click()
    await expect(page.get_by_test_id("passkeys")).to_contain_text("Laptop")
    return page


async def propose(page: Page, note: str) -> str:
    """Propose a sweep on the operator's page; return its id."""
    await go(page, "sweeps")
    await page.get_by_role("button", name="Propose a sweep of MUSD").click()
    await page.locator("dialog input[name=amount]").fill("excess")
    await page.locator("dialog textarea").fill(note)
    await page.get_by_test_id("dialog-go").click()
    await expect(page.get_by_test_id("dialog-go")).to_have_text("Propose to move the excess MUSD to the cold wallet")
    await page.get_by_test_id("dialog-go").click()
    row = page.get_by_test_id("sweeps").locator("tbody tr").first
    await expect(row).to_contain_text("awaiting approval")
    return await row.get_attribute("data-key") or ""


async def test_one_proposes_another_approves_by_passkey_it_arrives_and_is_proved(console: Console, ada: Page) -> None:
    stack = console.stack
    otto = await console.log_in("operator")
    sweep = await propose(otto, "above the ceiling")
    await go(otto, "approvals")
    await expect(otto.locator(f'[data-subject="{sweep}"]')).to_contain_text("role approver")

    await go(ada, "approvals")
    waiting = ada.locator(f'[data-subject="{sweep}"]')
    await expect(waiting).to_contain_text("100")
    await waiting.get_by_role("button", name="Approve").click()
    sentence = ada.get_by_test_id("plan-sentence")
    await expect(sentence).to_contain_text("MUSD")
    await expect(ada.get_by_test_id("plan-hash")).to_have_text(re.compile("^0x[0-9a-f]{64}$"))
    await save_screenshot(ada, "console-approval-desktop")
    assert await accessibility_violations(ada) == []
    safe = environment(stack)["COLD_SAFE_ADDRESS"]
    await expect(sentence).to_contain_text(safe)
    before, shown = musd(stack, safe), await ada.get_by_test_id("plan-hash").text_content()
    await ada.get_by_test_id("dialog-go").click()
    await expect(ada.locator("dialog")).to_be_hidden()

    await go(ada, "sweeps")
    row = ada.get_by_test_id("sweeps").locator(f'[data-key="{sweep}"]')
    await expect(row).to_contain_text("final", timeout=ARRIVES_MS)
    assert musd(stack, safe) - before == 100 * 10**18
    verdict = run_onramp(environment(stack), "audit", "verify", "--json")
    assert verdict.returncode == 0, verdict.stderr
    proved = json.loads(verdict.stdout)
    assert proved["ok"] is True
    database = connect(environment(stack)["DATABASE_URL"])
    try:
        async with database.read() as conn:
            rows = await signed_plans.of_subject(conn, sweep)
    finally:
        await database.close()
    (signed,) = [row for row in rows if row.action == "sweep.approve"]
    signed_plans.verify(signed, load().ring)
    assert (signed.plan_hash, signed.person, signed.plan["to"]) == (shown, "ada", safe)
    await go(ada, "audit", f"subject={sweep}")
    await expect(ada.get_by_test_id("audit")).to_contain_text("sweep")
    await expect(ada.get_by_test_id("verification")).to_contain_text("intact")


async def test_without_the_device_nothing_is_approved(console: Console, ada: Page) -> None:
    otto = await console.log_in("operator")
    sweep = await propose(otto, "a second one")
    thief = await console.log_in("approver", "/approvals")
    waiting = thief.locator(f'[data-subject="{sweep}"]')
    await waiting.get_by_role("button", name="Approve").click()
    await virtual_authenticator(thief.context, thief)
    await expect(thief.get_by_test_id("plan-hash")).to_be_visible()
    await thief.get_by_test_id("dialog-go").click()
    await expect(thief.locator("dialog").get_by_role("alert")).to_contain_text("Nothing was sent", timeout=70_000)
    await go(otto, "sweeps")
    await expect(otto.get_by_test_id("sweeps").locator(f'[data-key="{sweep}"]')).to_contain_text("awaiting approval")
    await go(ada, "approvals")
    await ada.locator(f'[data-subject="{sweep}"]').get_by_role("button", name="Refuse").click()
    await ada.get_by_test_id("dialog-go").click()
    await ada.get_by_test_id("dialog-go").click()
    await expect(ada.locator("dialog")).to_be_hidden()
