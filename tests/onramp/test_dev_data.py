"""A development stack that is stopped in the middle of a purchase and started again from its folder."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from tests.devstack import DevStack, dev_process

BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"


async def ask(http: aiohttp.ClientSession, method: str, url: str, *, key: str = "", **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with http.request(method, url, headers=headers, **more) as answer:
        assert answer.status < 300, (answer.status, await answer.text())
        return await answer.json()


async def begun(http: aiohttp.ClientSession, stack: DevStack) -> str:
    """A purchase that is paid for while payouts are paused."""
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
