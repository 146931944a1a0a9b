"""A development stack that is stopped in the middle of a purchase and started again from its folder."""

import ast
import asyncio
import json
import os
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.dev_stack import DevStack, dev_process
from tests.support.paths import ROOT

pytestmark = pytest.mark.starts_first

BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"


async def ask(http: aiohttp.ClientSession, method: str, url: str, *, key: str = "", **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with http.request(method, url, headers=headers, **more) as answer:
        assert answer.status < 300, (answer.status, await answer.text())
        return await answer.json()


async def begun(http: aiohttp.ClientSession, stack: DevStack) -> str:
    """Create a purchase that is paid while payouts are paused."""
    body = {"walletAddress": BUYER, "sourceAmount": "31.40", "sourceCurrency": "usd"}
    made = await ask(http, "POST", f"{stack.api}/api/v1/onramp/sessions", json=body)
    await ask(http, "POST", f"{stack.api}/api/v1/treasury/pause", key=stack.operator, json={"scope": "payouts"})
    url = f"{stack.stripe}/sandbox/onramp_sessions/{made['payment']['stripeSessionId']}/advance"
    await ask(http, "POST", url, json={"status": "fulfillment_complete"})
    async with asyncio.timeout(60):
        while not (await ask(http, "GET", f"{stack.api}/api/v1/treasury/payouts", key=stack.viewer))["data"]:
            await asyncio.sleep(0.2)
    return str(made["id"])


async def test_a_payout_that_was_waiting_is_paid_after_the_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with aiohttp.ClientSession() as http:
        with dev_process(tmp_path, data=data) as stack:
            session, stripe = await begun(http, stack), stack.stripe
        with dev_process(tmp_path, data=data) as stack:
            assert stack.stripe == stripe
            await ask(
                http, "POST", f"{stack.api}/api/v1/treasury/resume", key=stack.approver, json={"scope": "payouts"}
            )
            async with asyncio.timeout(60):
                while (await ask(http, "GET", f"{stack.api}/api/v1/onramp/sessions/{session}"))[
                    "status"
                ] != "completed":
                    await asyncio.sleep(0.2)


@pytest.mark.parametrize("name", ["my data", "q?x=1", "pct%20x%zz", "ü 'quoted' $HOME #1"])
def test_the_folder_may_have_any_name_and_commands_find_its_database(tmp_path: Path, name: str) -> None:
    data = tmp_path / name
    with dev_process(tmp_path, data=data) as stack:
        (line,) = [line for line in stack.printed if "set -a" in line]
        enter = line.partition("`")[2].rpartition("`")[0]
        command = f"{enter}; {ROOT / '.venv/bin/onramp'} doctor --json"
        found = subprocess.run(
            ["bash", "-c", command], check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        checks = {check["name"]: check for check in json.loads(found.stdout)["checks"]}
        assert checks["migrations"]["ok"], checks
        assert (
            checks["payout_contract"]["ok"]
            and "payouts are made through PayOnce" in checks["payout_contract"]["detail"]
        )
    assert (data / "onramp.db").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {name, "dev.log"}


def test_a_second_run_in_one_folder_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with dev_process(tmp_path, data=data):
        before = (data / "environment").read_bytes()
        command = [str(ROOT / ".venv/bin/onramp"), "dev", "--port", "0", "--data", str(data)]
        environment = {"PATH": os.environ["PATH"]}
        second = subprocess.run(
            command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        assert (second.returncode, second.stdout) == (1, "")
        assert "Another `onramp dev` is using the folder" in second.stderr
        assert (data / "environment").read_bytes() == before
    with dev_process(tmp_path, data=data):
        pass


def test_no_page_depends_on_the_locale(tmp_path: Path) -> None:
    with dev_process(tmp_path, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0") as stack:
        page = urllib.request.urlopen(stack.checkout, timeout=10).read()
        assert page.decode() and not page.isascii()


def test_nothing_is_read_or_written_in_the_locales_encoding() -> None:
    """Every text file is opened with an encoding, in the product's code."""
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for folder in ("kit", "chain", "treasury", "onramp")
        for path in (ROOT / folder).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in {"read_text", "write_text"}
        and "encoding" not in {keyword.arg for keyword in call.keywords}
    ]
    assert found == []


def test_the_public_configuration_gives_wallets_the_node_that_is_printed(tmp_path: Path) -> None:
    with dev_process(tmp_path) as stack:
        config = json.load(urllib.request.urlopen(f"{stack.api}/api/v1/onramp/config", timeout=10))
        assert config["chain"]["rpcUrls"] == [stack.rpc]
        assert config["stripe"]["scripts"] == [f"{stack.stripe}/sandbox/stripe-onramp.js"]
