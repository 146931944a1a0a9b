"""Observe mode on a real chain: somebody else delivers, the service believes a known sender's transfer alone, and each one once."""

import asyncio
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from chain.abi.erc20 import encode_transfer
from onramp.dev.chain.devchain import DevChain
from tests.support.clocks import OffsetClock
from tests.support.service import Service, Start, replica

SENDER = "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"
STRANGER = "0x976EA74026E726554dB657fA54763abd0C3a0aa9"
UNIT = 10**18
WORKERS = ("inbox", "reconcile", "deliveries")


async def send(chain: DevChain, sender: str, to: str, amount: int) -> str:
    await chain.mint(sender, amount)
    await chain.fund_gas(sender, UNIT)
    await chain.rpc("anvil_impersonateAccount", sender)
    call = {"from": sender, "to": chain.deployment.musd, "data": "0x" + encode_transfer(to, amount).hex()}
    tx_hash: str = await chain.rpc("eth_sendTransaction", call)
    return tx_hash


def settings(chain: DevChain, **more: Any) -> dict[str, Any]:
    return {
        "DELIVERY_MODE": "observe",
        "DELIVERY_SENDERS": SENDER,
        "MEZO_RPC_URLS": SecretStr(",".join(chain.rpc_urls)),
        "CHAIN_AGREEMENT": 2,
        "MUSD_TOKEN_ADDRESS": chain.deployment.musd,
        **more,
    }


async def delivery(service: Service, session_id: str) -> dict[str, Any]:
    async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{session_id}/delivery") as answer:
        body: dict[str, Any] = await answer.json()
        return body


async def until(service: Service, session_id: str, status: str, seconds: float = 15) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        while (body := await delivery(service, session_id))["status"] != status:
            await asyncio.sleep(0.1)
    return body


def pay(service: Service, clock: OffsetClock, made: dict[str, Any], amount: str) -> None:
    """No event tells of it; the poller finds it a minute later."""
    fact = service.sandbox.store.get(made["payment"]["stripeSessionId"])
    service.sandbox.walk(fact, "fulfillment_complete", {"destination_amount": amount}, "none")
    clock.ahead += timedelta(seconds=61)


def wallet(number: int) -> str:
    return f"0x{0xB0B0_0000 + number:040x}"


async def test_a_known_senders_transfer_is_proved_and_a_strangers_does_not_exist(
    start: Start, sqlite_url: str, chain: DevChain
) -> None:
    service, clock, buyer = await start(**settings(chain)), OffsetClock(), wallet(1)
    async with replica(sqlite_url, service, clock, WORKERS, **settings(chain)):
        await asyncio.sleep(1.5)  # a first look at the chain, so that the session knows from which block on it counts
        _, made = await service.create(walletAddress=buyer)
        pay(service, clock, made, "42.50")
        await send(chain, STRANGER, buyer, 42_500_000 * 10**12)
        await asyncio.sleep(4)
        assert (await delivery(service, made["id"]))["status"] == "awaiting"
        tx_hash = await send(chain, SENDER, buyer, 42_500_000 * 10**12)
        proof = await until(service, made["id"], "confirmed")
    assert proof["txHash"] == tx_hash
    assert proof["amount"] == "42.50"
    assert proof["from"] == SENDER
    assert proof["to"].lower() == buyer
    assert len(proof["agreedBy"]) >= 2
    receipt = await chain.rpc("eth_getTransactionReceipt", tx_hash)
    assert proof["blockHash"] == receipt["blockHash"]
    assert proof["blockNumber"] == int(receipt["blockNumber"], 16)


async def test_one_transfer_serves_one_purchase(start: Start, sqlite_url: str, chain: DevChain) -> None:
    service, clock, buyer = await start(**settings(chain)), OffsetClock(), wallet(2)
    async with replica(sqlite_url, service, clock, WORKERS, **settings(chain)):
        await asyncio.sleep(1.5)
        purchases = [(await service.create(walletAddress=buyer))[1] for _ in range(2)]
        for made in purchases:
            pay(service, clock, made, "7.00")
        await send(chain, SENDER, buyer, 7 * UNIT)
        await asyncio.sleep(5)
        statuses = sorted([(await delivery(service, made["id"]))["status"] for made in purchases])
        assert statuses == ["awaiting", "confirmed"]
        await send(chain, SENDER, buyer, 7 * UNIT)
        for made in purchases:
            await until(service, made["id"], "confirmed")
        hashes = {(await delivery(service, made["id"]))["txHash"] for made in purchases}
    assert len(hashes) == 2


async def test_another_amount_is_a_mismatch_until_the_right_one_comes(
    start: Start, sqlite_url: str, chain: DevChain
) -> None:
    service, clock, buyer = await start(**settings(chain)), OffsetClock(), wallet(3)
    async with replica(sqlite_url, service, clock, WORKERS, **settings(chain)):
        await asyncio.sleep(1.5)
        _, made = await service.create(walletAddress=buyer)
        pay(service, clock, made, "10.00")
        await send(chain, SENDER, buyer, 9 * UNIT)
        await until(service, made["id"], "mismatch")
        async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{made['id']}") as answer:
            assert (await answer.json())["status"] == "attention"


async def test_the_tolerance_is_kept_to_the_last_unit(start: Start, sqlite_url: str, chain: DevChain) -> None:
    loose = settings(chain, OBSERVE_TOLERANCE_BPS=100)
    service, clock, near, far = await start(**loose), OffsetClock(), wallet(4), wallet(5)
    async with replica(sqlite_url, service, clock, WORKERS, **loose):
        await asyncio.sleep(1.5)
        _, within = await service.create(walletAddress=near)
        _, beyond = await service.create(walletAddress=far)
        for made in (within, beyond):
            pay(service, clock, made, "100.00")
        await send(chain, SENDER, near, 99 * UNIT)
        await send(chain, SENDER, far, 99 * UNIT - 1)
        proof = await until(service, within["id"], "confirmed")
        await until(service, beyond["id"], "mismatch")
    assert proof["amount"] == "99.00"
