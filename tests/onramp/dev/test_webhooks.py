"""The webhooks of a development stack, at the receiver that it prints: a purchase, an outage, and a redelivery by command."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.dev_stack import DevStack, dev_process
from tests.support.hook_commands import hooks_json, run_hooks_async
from tests.support.waiting import eventually

pytestmark = pytest.mark.starts_first
BUYER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    with dev_process(tmp_path_factory.mktemp("dev")) as running:
        yield running


async def received(http: aiohttp.ClientSession, stack: DevStack) -> list[dict[str, Any]]:
    """Return what has arrived, the oldest first."""
    async with http.get(f"{stack.webhooks}/events") as answer:
        return list(reversed((await answer.json())["data"]))


async def test_a_purchase_is_followed_by_its_webhooks(stack: DevStack) -> None:
    async with aiohttp.ClientSession() as http:
        body = {"walletAddress": BUYER, "sourceAmount": "31.40", "sourceCurrency": "usd", "reference": "order-1042"}
        async with http.post(f"{stack.api}/api/v1/onramp/sessions", json=body) as answer:
            session = await answer.json()
        paid = f"{stack.stripe}/sandbox/onramp_sessions/{session['payment']['stripeSessionId']}/advance"
        async with http.post(paid, json={"status": "fulfillment_complete"}) as answer:
            assert answer.status == 200

        async def completed() -> list[dict[str, Any]]:
            events = await received(http, stack)
            mine = [event for event in events if event["subject"] == session["id"]]
            return mine if any(event["type"] == "session.completed" for event in mine) else []

        events = await eventually(completed)
        assert all(event["verified"] and event["answered"] == 200 for event in events), events
        assert {"session.created", "session.delivering", "delivery.confirmed"} <= {event["type"] for event in events}
        (last,) = (event for event in events if event["type"] == "session.completed")
        message = json.loads(last["body"])
        async with http.get(f"{stack.api}/api/v1/onramp/sessions/{session['id']}") as answer:
            shown = await answer.json()
        assert message["data"] == shown
        assert message["data"]["reference"] == "order-1042"
        async with http.get(stack.webhooks) as answer:
            page = await answer.text()
        assert session["id"] in page
        assert "session.completed" in page


async def test_three_messages_wait_for_a_failing_receiver_and_arrive_when_it_returns(stack: DevStack) -> None:
    async with aiohttp.ClientSession() as http:
        (endpoint,) = (await hooks_json(stack.api, stack.admin, "list"))["data"]
        async with http.post(f"{stack.webhooks}/answer", json={"status": 503}) as answer:
            assert answer.status == 200
        sent = [await hooks_json(stack.api, stack.admin, "test", endpoint["id"]) for _ in range(3)]
        ids = {delivery["messageId"] for delivery in sent}

        async def answers(status: int) -> bool:
            events = await received(http, stack)
            return {event["id"] for event in events if event["answered"] == status} >= ids

        await eventually(lambda: answers(503))
        waiting = await hooks_json(stack.api, stack.admin, "deliveries", endpoint["id"], "--status", "pending")
        assert {delivery["messageId"] for delivery in waiting["data"]} >= ids
        async with http.post(f"{stack.webhooks}/answer", json={"status": 200}) as answer:
            assert answer.status == 200
        await eventually(lambda: answers(200))
        again = await run_hooks_async(stack.api, stack.admin, "redeliver", sent[0]["id"])
        assert again.returncode == 0, again.stderr

        async def repeated() -> list[dict[str, Any]]:
            events = await received(http, stack)
            return [event for event in events if event["id"] == sent[0]["messageId"] and event["repeated"]]

        (event,) = await eventually(repeated)
        assert (event["verified"], event["answered"]) == (True, 200)


async def test_the_endpoint_of_an_earlier_run_is_used_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            with dev_process(tmp_path, data=data) as stack:
                (endpoint,) = (await hooks_json(stack.api, stack.admin, "list"))["data"]
                sent = await hooks_json(stack.api, stack.admin, "test", endpoint["id"])

                async def verified(stack: DevStack = stack, message_id: str = sent["messageId"]) -> bool:
                    events = await received(http, stack)
                    return any(event["id"] == message_id and event["verified"] for event in events)

                await eventually(verified)
