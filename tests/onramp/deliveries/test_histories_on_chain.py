"""The same random histories on a real node: real blocks, real reorgs, the real token, and proxies that answer wrongly."""

import asyncio
import itertools
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from eth_account import Account
from hypothesis import HealthCheck, Phase, given, settings

from chain.abi.erc20 import encode_transfer
from chain.pool.pool import Pool
from chain.types import to_checksum
from onramp.dev.chain import devchain
from onramp.dev.chain.devchain import CHAIN_ID, DevChain
from tests.support.chain_histories import History, Turn, histories
from tests.support.chain_model import START, Behaviour
from tests.support.delivery_histories import OWED, live
from tests.support.faulty_proxy import FaultyProxy
from tests.support.inline_database import InlineDatabase
from tests.support.observe_mode import SENDER, SENDER_KEY, UNIT
from tests.support.real_chain_model import Pay, RealChainModel
from tests.support.scripted_transport import LoopClock

UNITS = {"paid": OWED, "less": OWED - 1, "reverted": 2**200}
"""What the transaction is to move; more than the sender has fails on chain."""
buyers = itertools.count(0xFACE_0000)


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop for a real node: time passes by itself; waits for blocks and cooldowns are skipped."""

    skipped = 0.0

    def time(self) -> float:
        return super().time() + self.skipped


async def skip(seconds: float) -> None:
    loop: Any = asyncio.get_running_loop()
    loop.skipped += seconds
    await asyncio.sleep(0)


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    """A node that mines only when the test asks for it."""
    with devchain.running() as running:

        async def prepare() -> None:
            await running.mint(SENDER, UNIT)
            await running.fund_gas(SENDER, 1_000 * UNIT)
            await running.rpc("evm_setAutomine", False)
            await running.rpc("evm_setIntervalMining", 0)
            await running.rpc("anvil_mine", "0x8")

        asyncio.run(prepare())
        yield running


async def payment(chain: DevChain, really: str) -> Pay:
    """Return the one transaction, signed: its bytes can be sent again after the chain has removed it."""
    buyer = to_checksum(f"0x{next(buyers):040x}")
    fields = {
        "chainId": CHAIN_ID,
        "type": 2,
        "nonce": int(await chain.rpc("eth_getTransactionCount", SENDER, "latest"), 16),
        "to": chain.deployment.musd,
        "data": encode_transfer(buyer, UNITS[really]),
        "gas": 200_000,
        "value": 0,
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 10**6,
    }
    signed = Account.from_key(SENDER_KEY).sign_transaction(fields)
    tx_hash, raw = "0x" + bytes(signed.hash).hex(), "0x" + bytes(signed.raw_transaction).hex()
    return Pay(tx_hash, raw, chain.deployment.musd, SENDER, buyer)


async def on_the_node(history: History, chain: DevChain, database: InlineDatabase) -> None:
    """Run one history to its end."""
    # The model begins with three blocks: they must not hold what another history left.
    await chain.rpc("anvil_mine", "0x3")
    pay = await payment(chain, history.really)
    head = int(await chain.rpc("eth_blockNumber"), 16)
    world = RealChainModel(tuple(f"n{place}" for place in range(history.providers)), rpc=chain.rpc, pay=pay)
    world.first = head - world.chain[-1].number
    await world.play()
    async with AsyncExitStack() as stack:
        proxies = [FaultyProxy(name, chain.anvil.url) for name in world.providers]
        for proxy in proxies:
            proxy.always(world.voice(proxy.name))
            await proxy.start()
            stack.push_async_callback(proxy.stop)
        # A connection kept over a rest that is skipped would be dropped at one end and used at the other.
        connector = aiohttp.TCPConnector(force_close=True)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        configs = [proxy.config for proxy in proxies]
        pool = Pool(
            configs, chain_id=CHAIN_ID, agreement=history.agreement, session=session, clock=LoopClock(), timeout=0.5
        )
        stack.push_async_callback(pool.close)
        await live(
            history,
            world,
            pool,
            database,
            skip,
            token=pay.token,
            sender=SENDER,
            buyer=pay.buyer,
            from_block=world.first + START,
        )


def campaign(number: int, chain: DevChain) -> None:
    """The number of random histories."""
    database = InlineDatabase()

    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(histories())
    def run(history: History) -> None:
        with asyncio.Runner(loop_factory=SkippingLoop) as runner:
            runner.run(on_the_node(history, chain, database))

    try:
        run()
    finally:
        asyncio.run(database.close())


def test_no_history_on_a_real_chain_confirms_a_false_transfer_or_fails_a_true_one(chain: DevChain) -> None:
    campaign(50, chain)


@pytest.mark.prove
def test_any_number_of_histories(chain: DevChain) -> None:
    campaign(int(os.environ.get("HISTORIES", "500")), chain)


def test_the_check_fails_if_enough_providers_agree_on_a_wrong_answer(chain: DevChain) -> None:
    """The campaign can fail: where two of three say that all was paid, and only a part was, the invariant breaks."""
    wrong, correct = Behaviour(answer="as it should be"), Behaviour()
    turns = [Turn(event, 1, (None, None, None), (wrong, wrong, correct)) for event in ("mine", "grow", "grow")]
    history = History("less", 3, 2, 2, True, turns)
    database = InlineDatabase()
    with asyncio.Runner(loop_factory=SkippingLoop) as runner, pytest.raises(AssertionError):
        runner.run(on_the_node(history, chain, database))
    asyncio.run(database.close())
