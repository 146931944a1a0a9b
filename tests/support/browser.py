"""What tests in a real browser share: the browser's path, the sizes of its window, screenshots, and a look at accessibility."""

import os
import shutil
from typing import Final

import pytest
from playwright.async_api import Page, ViewportSize

from tests.support.paths import ROOT

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
IN_CI: Final = os.environ.get("CI", "").lower() in {"1", "true"}
NEEDS_CHROMIUM: Final = pytest.mark.skipif(
    CHROMIUM is None and not IN_CI, reason="no chromium on this machine: the pages are not tested"
)
"""A mark that skips tests where Chromium is missing; in CI they run and fail instead."""
SCREENSHOTS: Final = ROOT / ".run" / "screenshots"
AXE: Final = ROOT / "client" / "node_modules" / "axe-core" / "axe.min.js"
DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 860}
PHONE: Final[ViewportSize] = {"width": 375, "height": 740}


async def save_screenshot(page: Page, name: str) -> None:
    """Write a screenshot of the whole page to `.run/screenshots`, and assert that the page does not scroll sideways."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    margin = await page.evaluate("document.documentElement.clientWidth - document.documentElement.scrollWidth")
    assert margin >= 0, f"the page scrolls sideways by {-margin} px at {name}"


async def accessibility_violations(page: Page) -> list[str]:
    """Return what axe-core finds on the page as it is now, in its light or dark colours: the rule and the elements."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    result = await page.evaluate("axe.run()")
    assert len(result["passes"]) > 5, "nothing was examined"
    return [
        f"{violation['id']}: {', '.join(str(node['target']) for node in violation['nodes'])}"
        for violation in result["violations"]
    ]
