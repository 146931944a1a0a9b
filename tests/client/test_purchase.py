"""A purchase by the built client, in Node, from a real service that is stopped and started again before the buyer has paid."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kit.money import parse_units
from onramp.dev.chain.anvil import free_port
from tests.support.dev_stack import dev_process, post_json
from tests.support.paths import ROOT

pytestmark = pytest.mark.starts_first
SCRIPT = Path(__file__).with_name("buy.mjs")


class Buyer:
    """A running `buy.mjs`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.states: list[dict[str, Any]] = []

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the next state that it prints for which the condition holds."""
        assert self._process.stdout is not None
        async with asyncio.timeout(90):
            while line := await self._process.stdout.readline():
                self.states.append(json.loads(line))
                if condition(self.states[-1]):
                    return self.states[-1]
        pytest.fail(f"the script ended after {self.states[-1:]}")

    async def verify(self, url: str, **options: Any) -> dict[str, Any]:
        """Return what the client finds about the delivery through the node at `url`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"url": url, "options": options}).encode() + b"\n")
        return await self.until(lambda state: state["phase"] == "verified")


@asynccontextmanager
async def buying(api: str, wallet: str) -> AsyncIterator[Buyer]:
    """Run the script; it ends when its input does."""
    pipe = asyncio.subprocess.PIPE
    client = (ROOT / "client" / "dist").as_uri()
    process = await asyncio.create_subprocess_exec("node", SCRIPT, client, api, wallet, stdin=pipe, stdout=pipe)
    try:
        yield Buyer(process)
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_purchase_survives_a_restart_and_is_verified_by_the_buyers_own_node(tmp_path: Path) -> None:
    wallet = "0x" + secrets.token_hex(20)
    data, port = tmp_path / "data", free_port()
    async with AsyncExitStack() as ending:
        with dev_process(tmp_path, data=data, port=port) as stack:
            buyer = await ending.enter_async_context(buying(stack.api, wallet))
            paying = await buyer.until(lambda state: state["phase"] == "pay" and state["live"] == "stream")
            assert paying["hasSecret"] and paying["mayStartOver"]
        away = await buyer.until(lambda state: state["phase"] == "pay" and state["live"] == "offline")
        assert not away["mayStartOver"]  # whether the buyer has paid meanwhile is unknown
        with dev_process(tmp_path, data=data, port=port) as stack:
            await buyer.until(lambda state: state["phase"] == "pay" and state["live"] != "offline")
            url = f"{stack.stripe}/sandbox/onramp_sessions/{paying['session']['payment']['stripeSessionId']}/advance"
            assert post_json(url, {"status": "fulfillment_complete"})[0] == 200
            done = await buyer.until(lambda state: state["phase"] == "done" and state["proof"] is not None)
            assert {state["session"]["id"] for state in buyer.states if "session" in state} == {paying["session"]["id"]}
            await _verify(buyer, stack.rpc, done, wallet)


async def _verify(buyer: Buyer, rpc: str, done: dict[str, Any], wallet: str) -> None:
    """Assert that the client finds exactly this delivery through a node, and nothing for another wallet."""
    found = await buyer.verify(rpc, wallet=wallet, logIndex=done["proof"]["logIndex"])
    assert found["verified"], found
    transfer = found["transfer"]
    assert int(transfer["amount"]) == parse_units(done["proof"]["amount"], 18) > 0
    assert transfer["txHash"] == done["proof"]["txHash"] and transfer["blockHash"] == done["proof"]["blockHash"]
    assert transfer["to"] == wallet
    assert (await buyer.verify(rpc, wallet="0x" + "1" * 40))["reason"] == "no_transfer"
    assert (await buyer.verify(rpc, chainId=31612))["reason"] == "wrong_chain"
    assert (await buyer.verify("http://127.0.0.1:9"))["reason"] == "node_failed"
