"""The chain removes the block of a confirmed delivery: an alarm is raised, the delivery waits with a reason, and is confirmed again by itself."""

import asyncio

from eth_account import Account

from chain.abi.erc20 import encode_transfer
from onramp.bootstrap.container import Container
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from tests.support.clocks import OffsetClock
from tests.support.observe_mode import (
    SENDER,
    SENDER_KEY,
    UNIT,
    WORKERS,
    buyer_wallet,
    delivery,
    delivery_until,
    observe_settings,
    pay_unannounced,
)
from tests.support.service import Start, replica


async def signed(chain: DevChain, to: str, amount: int) -> str:
    """Return a transfer whose bytes can be sent again after the chain has removed it."""
    await chain.mint(SENDER, amount)
    await chain.fund_gas(SENDER, UNIT)
    fields = {
        "chainId": CHAIN_ID,
        "type": 2,
        "nonce": int(await chain.rpc("eth_getTransactionCount", SENDER, "latest"), 16),
        "to": chain.deployment.musd,
        "data": encode_transfer(to, amount),
        "gas": 200_000,
        "value": 0,
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 10**6,
    }
    return "0x" + bytes(Account.from_key(SENDER_KEY).sign_transaction(fields).raw_transaction).hex()


def reorged(container: Container) -> float:
    return container.registry.get_sample_value("onramp_delivery_outcomes_total", {"outcome": "reorged"}) or 0.0


async def depth_of(chain: DevChain, block: int) -> int:
    """Return how many blocks a reorg must remove to remove this one."""
    return int(await chain.rpc("eth_blockNumber"), 16) - block + 1


async def test_a_delivery_whose_block_is_gone_is_seen_again_with_an_alarm_and_confirmed_when_it_is_back(
    start: Start, sqlite_url: str, chain: DevChain
) -> None:
    service, clock, buyer = await start(**observe_settings(chain)), OffsetClock(), buyer_wallet(21)
    async with replica(sqlite_url, service, clock, WORKERS, **observe_settings(chain)) as container:
        await asyncio.sleep(1.5)  # the first read of the chain, from which on transfers count for the session
        _, made = await service.create(walletAddress=buyer)
        pay_unannounced(service, clock, made, "3.00")
        raw = await signed(chain, buyer, 3 * UNIT)
        tx_hash = await chain.rpc("eth_sendRawTransaction", raw)
        before = await delivery_until(service, made["id"], "confirmed")
        assert before["txHash"] == tx_hash

        await chain.rpc("anvil_reorg", await depth_of(chain, before["blockNumber"]), [])
        assert await chain.rpc("eth_getTransactionReceipt", tx_hash) is None
        gone = await delivery_until(service, made["id"], "seen")
        for _ in range(15):
            assert (gone["status"], gone["reason"]) == ("seen", "reorg")
            await asyncio.sleep(0.2)
            gone = await delivery(service, made["id"])
        assert reorged(container) == 1

        await chain.rpc("eth_sendRawTransaction", raw)
        after = await delivery_until(service, made["id"], "confirmed")
        assert after["txHash"] == tx_hash
        assert after["blockHash"] == (await chain.rpc("eth_getTransactionReceipt", tx_hash))["blockHash"]
        assert after["blockHash"] != before["blockHash"]
        assert after["reason"] is None


async def test_a_delivery_that_only_moved_to_another_block_is_proved_there(
    start: Start, sqlite_url: str, chain: DevChain
) -> None:
    service, clock, buyer = await start(**observe_settings(chain)), OffsetClock(), buyer_wallet(22)
    async with replica(sqlite_url, service, clock, WORKERS, **observe_settings(chain)) as container:
        await asyncio.sleep(1.5)
        _, made = await service.create(walletAddress=buyer)
        pay_unannounced(service, clock, made, "4.00")
        raw = await signed(chain, buyer, 4 * UNIT)
        await chain.rpc("eth_sendRawTransaction", raw)
        before = await delivery_until(service, made["id"], "confirmed")
        await chain.rpc("anvil_reorg", await depth_of(chain, before["blockNumber"]), [[raw, 0]])
        truth = (await chain.rpc("eth_getTransactionReceipt", before["txHash"]))["blockHash"]
        assert truth != before["blockHash"]
        async with asyncio.timeout(60):
            while (after := await delivery(service, made["id"]))["blockHash"] != truth:
                await asyncio.sleep(0.1)
        after = await delivery_until(service, made["id"], "confirmed")
        assert after["blockHash"] == truth
        assert reorged(container) == 1
