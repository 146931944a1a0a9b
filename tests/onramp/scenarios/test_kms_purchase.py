"""A purchase and a sweep with the hot wallet's key in a cloud: the real SDK in the real process, against the cloud's wire."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.dev_stack import dev_process

BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"


async def json_of(http: aiohttp.ClientSession, method: str, url: str, **more: Any) -> Any:
    async with http.request(method, url, **more) as answer:
        assert answer.status < 300, (answer.status, await answer.text())
        return await answer.json()


@pytest.mark.parametrize(("signer", "prefix"), [("aws-kms", "aws-"), ("gcp-kms", "gcp-")])
async def test_a_payout_and_a_sweep_are_signed_in_the_cloud(tmp_path: Path, signer: str, prefix: str) -> None:
    with dev_process(tmp_path, HOT_WALLET_SIGNER=signer) as stack:
        async with aiohttp.ClientSession() as http:
            body = {"walletAddress": BUYER, "sourceAmount": "31.40", "sourceCurrency": "usd"}
            made = await json_of(http, "POST", f"{stack.api}/api/v1/onramp/sessions", json=body)
            stripe_id = made["payment"]["stripeSessionId"]
            url = f"{stack.stripe}/sandbox/onramp_sessions/{stripe_id}/advance"
            await json_of(http, "POST", url, json={"status": "fulfillment_complete"})
            async with asyncio.timeout(60):
                while (await json_of(http, "GET", f"{stack.api}/api/v1/onramp/sessions/{made['id']}"))[
                    "status"
                ] != "completed":
                    await asyncio.sleep(0.2)
            viewer = {"Authorization": f"Bearer {stack.viewer}"}
            payouts = await json_of(http, "GET", f"{stack.api}/api/v1/treasury/payouts", headers=viewer)
            (payout,) = payouts["data"]
            assert payout["amount"] == "31.40"
            orders = f"{stack.api}/api/v1/treasury/sweeps"
            order = {"asset": "MUSD", "amount": "6000"}
            operator, approver = ({"Authorization": f"Bearer {key}"} for key in (stack.operator, stack.approver))
            sweep = await json_of(http, "POST", orders, json=order, headers=operator)
            assert sweep["status"] == "awaiting_approval"
            await json_of(http, "POST", f"{orders}/{sweep['id']}/approve", headers=approver)
            async with asyncio.timeout(60):
                while sweep["status"] != "final":
                    await asyncio.sleep(0.2)
                    sweep = await json_of(http, "GET", f"{orders}/{sweep['id']}", headers=viewer)
            for moved in (payout, sweep):
                url = f"{stack.api}/api/v1/treasury/transactions/{moved['transactionId']}"
                (attempt,) = (await json_of(http, "GET", url, headers=viewer))["attempts"]
                assert attempt["signerRequestId"].startswith(prefix)
