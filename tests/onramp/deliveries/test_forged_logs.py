"""One operator of three invents what eth_getLogs tells: nobody's delivery is taken for another's, and none is hidden."""

import asyncio
from typing import Any

from pydantic import SecretStr

from chain.abi.erc20 import address_topic
from onramp.dev.chain.devchain import DevChain
from tests.support import faulty_proxy
from tests.support.clocks import OffsetClock
from tests.support.faulty_proxy import FaultyProxy
from tests.support.observe_mode import (
    SENDER,
    UNIT,
    WORKERS,
    buyer_wallet,
    delivery,
    delivery_until,
    observe_settings,
    pay_unannounced,
    send_musd,
)
from tests.support.service import Service, Start, replica

LOGS = "eth_getLogs"
STRANGER = buyer_wallet(99)


def before(chain: DevChain, providers: list[FaultyProxy]) -> dict[str, Any]:
    urls = ",".join(f"{proxy.name}={proxy.config.url}" for proxy in providers)
    return observe_settings(chain, MEZO_RPC_URLS=SecretStr(urls))


def paying(recipient: str) -> faulty_proxy.Fault:
    """Every transfer went to one."""
    return faulty_proxy.bent(
        lambda logs: [{**log, "topics": [*log["topics"][:2], address_topic(recipient)]} for log in logs]
    )


def inventing(chain: DevChain, recipient: str, amount: int) -> faulty_proxy.Fault:
    """A transfer that never was, beside those that were."""

    async def tell(asked: faulty_proxy.ProxiedCall) -> Any:
        block = int(asked.call["params"][0]["toBlock"], 16)
        invented = {
            "address": chain.deployment.musd,
            "topics": [asked.call["params"][0]["topics"][0], address_topic(SENDER), address_topic(recipient)],
            "data": "0x" + amount.to_bytes(32, "big").hex(),
            "transactionHash": f"0x{block:064x}",
            "logIndex": "0x0",
            "blockNumber": hex(block),
            "blockHash": "0x" + "cd" * 32,
        }
        return await faulty_proxy.bent(lambda logs: [invented, *logs])(asked)

    return tell


async def bought(service: Service, clock: OffsetClock, buyer: str, amount: str) -> str:
    """A purchase that waits for its transfer, begun once the worker has looked at the chain."""
    await asyncio.sleep(1.5)
    _, made = await service.create(walletAddress=buyer)
    pay_unannounced(service, clock, made, amount)
    session: str = made["id"]
    return session


async def test_a_transfer_told_as_somebody_elses_is_still_the_buyers(
    start: Start, sqlite_url: str, chain: DevChain, providers: list[FaultyProxy]
) -> None:
    options = before(chain, providers)
    service, clock, buyer = await start(**options), OffsetClock(), buyer_wallet(31)
    providers[0].always(paying(STRANGER), LOGS)
    async with replica(sqlite_url, service, clock, WORKERS, **options):
        session = await bought(service, clock, buyer, "6.00")
        tx_hash = await send_musd(chain, SENDER, buyer, 6 * UNIT)
        proof = await delivery_until(service, session, "confirmed")
    assert proof["txHash"] == tx_hash


async def test_somebody_elses_transfer_told_as_the_buyers_is_no_mismatch(
    start: Start, sqlite_url: str, chain: DevChain, providers: list[FaultyProxy]
) -> None:
    options = before(chain, providers)
    service, clock, buyer = await start(**options), OffsetClock(), buyer_wallet(32)
    providers[0].always(paying(buyer), LOGS)
    async with replica(sqlite_url, service, clock, WORKERS, **options):
        session = await bought(service, clock, buyer, "8.00")
        await send_musd(chain, SENDER, STRANGER, 8 * UNIT)
        for _ in range(20):
            assert (await delivery(service, session))["status"] == "awaiting"
            await asyncio.sleep(0.2)
        tx_hash = await send_musd(chain, SENDER, buyer, 8 * UNIT)
        proof = await delivery_until(service, session, "confirmed")
    assert proof["txHash"] == tx_hash


async def test_an_invented_transfer_does_not_stand_before_the_true_one(
    start: Start, sqlite_url: str, chain: DevChain, providers: list[FaultyProxy]
) -> None:
    options = before(chain, providers)
    service, clock, buyer = await start(**options), OffsetClock(), buyer_wallet(33)
    providers[0].always(inventing(chain, buyer, 9 * UNIT), LOGS)
    async with replica(sqlite_url, service, clock, WORKERS, **options):
        session = await bought(service, clock, buyer, "9.00")
        await asyncio.sleep(2)
        tx_hash = await send_musd(chain, SENDER, buyer, 9 * UNIT)
        proof = await delivery_until(service, session, "confirmed")
    assert proof["txHash"] == tx_hash


async def test_a_transfer_only_one_honest_operator_tells_is_found_by_its_receipt(
    start: Start, sqlite_url: str, chain: DevChain, providers: list[FaultyProxy]
) -> None:
    options = before(chain, providers)
    service, clock, buyer = await start(**options), OffsetClock(), buyer_wallet(34)
    for pruned in providers[:2]:
        pruned.always(faulty_proxy.instead([]), LOGS)
    async with replica(sqlite_url, service, clock, WORKERS, **options):
        session = await bought(service, clock, buyer, "2.00")
        await send_musd(chain, SENDER, buyer, 2 * UNIT)
        await delivery_until(service, session, "confirmed")
