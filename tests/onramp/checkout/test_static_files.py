"""The files of the checkout page: all are served, and wallets with public keys in development only."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from aiohttp.web import Application

from kit.http.problems import Problem
from onramp.checkout.dependencies import CHECKOUT
from onramp.checkout.routes import DEVELOPMENT_SCRIPT, DEVELOPMENT_WALLET, STATIC, file


def asked(name: str, *, production: bool) -> Any:
    app = Application()
    app[CHECKOUT] = SimpleNamespace(settings=SimpleNamespace(is_production=production))  # type: ignore[misc] # what it asks
    return make_mocked_request("GET", f"/checkout/{name}", app=app, match_info={"file": name})


async def test_wallets_with_known_keys_are_served_in_development_alone() -> None:
    assert (await file(asked(DEVELOPMENT_SCRIPT, production=False))).status == 200
    with pytest.raises(Problem) as refused:
        await file(asked(DEVELOPMENT_SCRIPT, production=True))
    assert refused.value.status == 404
    assert (await file(asked("wallet.js", production=True))).status == 200
    assert f'address: "{DEVELOPMENT_WALLET}"' in (STATIC / DEVELOPMENT_SCRIPT).read_text()


def test_the_page_names_every_file_it_needs_and_no_other() -> None:
    page = (STATIC / "index.html").read_text()
    named = set(re.findall(r'(?:src|href)="/checkout/([^"]+)"', page))
    there = {path.name for path in STATIC.iterdir()} - {"index.html", DEVELOPMENT_SCRIPT}
    assert named == there
