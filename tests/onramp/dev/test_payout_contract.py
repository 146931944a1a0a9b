"""A development stack pays through PayOnce, or by direct transfers if the environment says so."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chain import payonce
from chain.deployments import deployment
from chain.types import to_checksum
from onramp.dev.chain.devchain import CHAIN_ID
from tests.support.dev_stack import dev_process

pytestmark = pytest.mark.starts_first

BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"


@pytest.mark.parametrize(
    ("environment", "called"),
    [({}, payonce.ADDRESS), ({"PAYOUT_CONTRACT": ""}, deployment(CHAIN_ID).musd)],
    ids=["by default", "unset"],
)
async def test_a_buyer_is_paid_by_a_transaction_that_calls(
    tmp_path: Path, environment: dict[str, Any], called: str
) -> None:
    with dev_process(tmp_path, **environment) as stack:
        async with aiohttp.ClientSession() as http:
            body = {"walletAddress": BUYER, "sourceAmount": "31.40", "sourceCurrency": "usd"}
            async with http.post(f"{stack.api}/api/v1/onramp/sessions", json=body) as response:
                made = await response.json()
            url = f"{stack.stripe}/sandbox/onramp_sessions/{made['payment']['stripeSessionId']}/advance"
            async with http.post(url, json={"status": "fulfillment_complete"}) as response:
                assert response.status == 200
            async with asyncio.timeout(60):
                while made["status"] != "completed":
                    await asyncio.sleep(0.2)
                    async with http.get(f"{stack.api}/api/v1/onramp/sessions/{made['id']}") as response:
                        made = await response.json()
            question = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "eth_getTransactionByHash",
                "params": [made["delivery"]["txHash"]],
            }
            async with http.post(stack.rpc, json=question) as response:
                transaction = (await response.json())["result"]
    assert to_checksum(transaction["to"]) == called
    assert "treasury.payout_allowance" not in stack.log.read_text(), "it was approved before the service started"
