"""One provider of three returns wrong logs: no transfer is assigned to the wrong session, and no delivery is missed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from chain.abi.erc20 import address_topic
from onramp.dev.chain.devchain import DevChain
from tests.support import faulty_proxy
from tests.support.clocks import OffsetClock
from tests.support.faulty_proxy import Fault, FaultyProxy
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


def settings(chain: DevChain, providers: list[FaultyProxy]) -> dict[str, Any]:
    urls = ",".join(f"{proxy.name}={proxy.config.url}" for proxy in providers)
    return observe_settings(chain, MEZO_RPC_URLS=SecretStr(urls))


def with_recipient(recipient: str) -> Fault:
    """Return a fault that reports every transfer as one to `recipient`."""
    return faulty_proxy.bent(
        lambda logs: [{**log, "topics": [*log["topics"][:2], address_topic(recipient)]} for log in logs]
    )


def with_invented_transfer(chain: DevChain, recipient: str, amount: int) -> Fault:
    """Return a fault that reports a transfer that does not exist, before those that do."""

    async def answer(proxied: faulty_proxy.ProxiedCall) -> Any:
        block = int(proxied.call["params"][0]["toBlock"], 16)
        invented = {
            "address": chain.deployment.musd,
            "topics": [proxied.call["params"][0]["topics"][0], address_topic(SENDER), address_topic(recipient)],
            "data": "0x" + amount.to_bytes(32, "big").hex(),
            "transactionHash": f"0x{block:064x}",
            "logIndex": "0x0",
            "blockNumber": hex(block),
            "blockHash": "0x" + "cd" * 32,
        }
        return await faulty_proxy.bent(lambda logs: [invented, *logs])(proxied)

    return answer


async def buy(service: Service, clock: OffsetClock, buyer: str, amount: int) -> str:
    """Create and pay a session that waits for its transfer, after the worker has read the chain once; return its id."""
    await asyncio.sleep(1.5)
    _, session = await service.create(walletAddress=buyer)
    pay_unannounced(service, clock, session, f"{amount}.00")
    session_id: str = session["id"]
    return session_id


@dataclass(frozen=True, slots=True)
class WrongLogs:
    """A fault of one provider or of several, and the amount in MUSD that the buyer of this number is paid."""

    number: int
    amount: int
    fault: Callable[[DevChain, str], Fault]
    """Makes the fault for this chain and this buyer."""
    faulty_providers: int = 1
    pays_stranger_first: bool = False
    pause_seconds: float = 0
    """How long the wrong answer is the only one."""


CASES = {
    "transfer reported for another recipient": WrongLogs(31, 6, lambda _chain, _buyer: with_recipient(STRANGER)),
    "stranger's transfer reported for the buyer": WrongLogs(
        32, 8, lambda _chain, buyer: with_recipient(buyer), pays_stranger_first=True
    ),
    "transfer invented before the true one": WrongLogs(
        33, 9, lambda chain, buyer: with_invented_transfer(chain, buyer, 9 * UNIT), pause_seconds=2
    ),
    "transfer reported by one provider alone": WrongLogs(
        34, 2, lambda _chain, _buyer: faulty_proxy.instead([]), faulty_providers=2
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_wrong_logs_neither_hide_nor_replace_the_buyers_transfer(
    start: Start, sqlite_url: str, chain: DevChain, providers: list[FaultyProxy], case: WrongLogs
) -> None:
    options = settings(chain, providers)
    service, clock, buyer = await start(**options), OffsetClock(), buyer_wallet(case.number)
    for provider in providers[: case.faulty_providers]:
        provider.always(case.fault(chain, buyer), LOGS)
    async with replica(sqlite_url, service, clock, WORKERS, **options):
        session_id = await buy(service, clock, buyer, case.amount)
        await asyncio.sleep(case.pause_seconds)
        if case.pays_stranger_first:
            await send_musd(chain, SENDER, STRANGER, case.amount * UNIT)
            for _ in range(20):
                assert (await delivery(service, session_id))["status"] == "awaiting"
                await asyncio.sleep(0.2)
        tx_hash = await send_musd(chain, SENDER, buyer, case.amount * UNIT)
        proof = await delivery_until(service, session_id, "confirmed")
    assert proof["txHash"] == tx_hash
