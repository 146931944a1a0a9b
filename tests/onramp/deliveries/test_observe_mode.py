"""Observe mode on a real chain: someone else delivers; only transfers of known senders count, and each of them once."""

import asyncio

from onramp.dev.chain.devchain import DevChain
from tests.support.clocks import OffsetClock
from tests.support.observe_mode import (
    SENDER,
    STRANGER,
    UNIT,
    WORKERS,
    buyer_wallet,
    delivery,
    delivery_until,
    observe_settings,
    pay_unannounced,
    send_musd,
)
from tests.support.service import Start, replica


async def test_a_known_senders_transfer_is_proved_and_a_strangers_does_not_exist(
    start: Start, sqlite_url: str, chain: DevChain
) -> None:
    service, clock, buyer = await start(**observe_settings(chain)), OffsetClock(), buyer_wallet(1)
    async with replica(sqlite_url, service, clock, WORKERS, **observe_settings(chain)):
        await asyncio.sleep(1.5)  # the first read of the chain, from which on transfers count for the session
        _, made = await service.create(walletAddress=buyer)
        pay_unannounced(service, clock, made, "42.50")
        await send_musd(chain, STRANGER, buyer, 42_500_000 * 10**12)
        await asyncio.sleep(4)
        assert (await delivery(service, made["id"]))["status"] == "awaiting"
        tx_hash = await send_musd(chain, SENDER, buyer, 42_500_000 * 10**12)
        proof = await delivery_until(service, made["id"], "confirmed")
    assert proof["txHash"] == tx_hash
    assert proof["amount"] == "42.50"
    assert proof["from"] == SENDER
    assert proof["to"].lower() == buyer
    assert len(proof["agreedBy"]) >= 2
    receipt = await chain.rpc("eth_getTransactionReceipt", tx_hash)
    assert proof["blockHash"] == receipt["blockHash"]
    assert proof["blockNumber"] == int(receipt["blockNumber"], 16)


async def test_one_transfer_serves_one_purchase(start: Start, sqlite_url: str, chain: DevChain) -> None:
    service, clock, buyer = await start(**observe_settings(chain)), OffsetClock(), buyer_wallet(2)
    async with replica(sqlite_url, service, clock, WORKERS, **observe_settings(chain)):
        await asyncio.sleep(1.5)
        purchases = [(await service.create(walletAddress=buyer))[1] for _ in range(2)]
        for made in purchases:
            pay_unannounced(service, clock, made, "7.00")
        await send_musd(chain, SENDER, buyer, 7 * UNIT)
        await asyncio.sleep(5)
        statuses = sorted([(await delivery(service, made["id"]))["status"] for made in purchases])
        assert statuses == ["awaiting", "confirmed"]
        await send_musd(chain, SENDER, buyer, 7 * UNIT)
        for made in purchases:
            await delivery_until(service, made["id"], "confirmed")
        hashes = {(await delivery(service, made["id"]))["txHash"] for made in purchases}
    assert len(hashes) == 2


async def test_another_amount_is_a_mismatch_until_the_right_amount_arrives(
    start: Start, sqlite_url: str, chain: DevChain
) -> None:
    service, clock, buyer = await start(**observe_settings(chain)), OffsetClock(), buyer_wallet(3)
    async with replica(sqlite_url, service, clock, WORKERS, **observe_settings(chain)):
        await asyncio.sleep(1.5)
        _, made = await service.create(walletAddress=buyer)
        pay_unannounced(service, clock, made, "10.00")
        await send_musd(chain, SENDER, buyer, 9 * UNIT)
        await delivery_until(service, made["id"], "mismatch")
        async with service.http.get(f"{service.api}/api/v1/onramp/sessions/{made['id']}") as answer:
            assert (await answer.json())["status"] == "attention"


async def test_the_tolerance_is_kept_to_the_last_unit(start: Start, sqlite_url: str, chain: DevChain) -> None:
    loose = observe_settings(chain, OBSERVE_TOLERANCE_BPS=100)
    service, clock, near, far = await start(**loose), OffsetClock(), buyer_wallet(4), buyer_wallet(5)
    async with replica(sqlite_url, service, clock, WORKERS, **loose):
        await asyncio.sleep(1.5)
        _, within = await service.create(walletAddress=near)
        _, beyond = await service.create(walletAddress=far)
        for made in (within, beyond):
            pay_unannounced(service, clock, made, "100.00")
        await send_musd(chain, SENDER, near, 99 * UNIT)
        await send_musd(chain, SENDER, far, 99 * UNIT - 1)
        proof = await delivery_until(service, within["id"], "confirmed")
        await delivery_until(service, beyond["id"], "mismatch")
    assert proof["amount"] == "99.00"
