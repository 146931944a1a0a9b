"""Measure payouts through the contract PayOnce beside direct transfers and a plain web3.py loop, on a chain of its own."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from chain.abi.erc20 import payout_calldata
from chain.abi.payonce import Payment
from onramp.dev.chain.devchain import DevChain
from tests.bench.treasury import DEPTH, Row, buyer, run
from tests.support.hot_wallet import MUSD
from tests.support.payonce_chain import PayOnceChain

BLOCK_SECONDS: Final = 3.57
"""The time between two blocks of Mezo."""
BLOCK_GAS: Final = 10_000_000
"""The gas limit of a block of Mezo."""
BATCH: Final = 70
"""Payments for each transaction where rates are measured: the gas limits of two such transactions fit into one block."""
DUE: Final = 500
ALL: Final = 1_000
LONE: Final = 15
"""How many lone payouts; each takes a second or two."""


async def rows(url: str) -> list[Row]:
    """Return all rows; `url` is a migrated Postgres."""
    chain = DevChain()
    await chain.start()
    try:
        return [
            await gas(chain),
            await processor_time(chain, url),
            await signatures(chain, url),
            await lone_payout(chain, url),
            *await rates(chain, url),
        ]
    finally:
        await chain.stop()


async def gas(chain: DevChain) -> Row:
    """Measure the gas of a payment in a batch of 100 beside that of a transfer with a reference, each to new holders of MUSD."""
    payer = (await chain.rpc("eth_accounts"))[3]
    calls = PayOnceChain(chain, {"MUSD": chain.deployment.musd})
    await chain.mint(payer, MUSD)
    await calls.approve("MUSD", payer)
    outcome = await calls.pay("MUSD", payer, [Payment(secrets.token_bytes(32), buyer(), 1) for _ in range(100)])
    assert outcome.kinds == 100 * "p"
    data = payout_calldata(buyer(), 1, secrets.token_bytes(32))
    direct = int((await calls.send(payer, chain.deployment.musd, data))["gasUsed"], 16)
    each = outcome.gas / 100
    return (
        "gas of a payment in a batch of 100, against a transfer with reference",
        f"{each:,.0f}",
        f"{direct:,}",
        f"{each / direct:.3f}x",
        "<= 1.05x",
    )


async def processor_time(chain: DevChain, url: str) -> Row:
    """Measure the CPU time of our process for each payout in batches of 50, a block for each transaction, beside the loop's."""
    plain = await run(chain, "plain", count=20)
    ours = await run(chain, "ours", depth=1, batch=50, count=500, database=url)
    return processor_row("mined at once", ours, plain)


def processor_row(blocks: str, ours: dict[str, float], plain: dict[str, float]) -> Row:
    return (
        f"CPU of a payout besides the signature, batches of 50, {blocks}",
        f"{ours['cpu'] * 1e3:.2f} ms",
        f"{plain['cpu'] * 1e3:.2f} ms",
        f"{ours['cpu'] / plain['cpu']:.2f}x",
        "<= 0.2x",
    )


async def signatures(chain: DevChain, url: str) -> Row:
    """Count the signatures that the key service makes for payouts in batches of 100, the most that the policy allows by default."""
    ours = await run(chain, "ours", depth=1, batch=100, count=ALL, database=url)
    return (
        f"signatures for {ALL:,} payouts",
        f"{ours['signatures']:.0f}",
        f"{ALL:,}",
        f"1/{ALL / ours['signatures']:.0f}",
        "<= 1/50",
    )


async def lone_payout(chain: DevChain, url: str) -> Row:
    """Measure a payout that is due alone, from owed to broadcast, through the contract and as a transfer."""
    times = {}
    for batch in (0, 100):
        found = await run(chain, "lone", depth=1, batch=batch, count=LONE, database=url)
        times[batch] = found["seconds"]
    return (
        f"one lone payout, owed to broadcast, median of {LONE}",
        f"{times[100] * 1e3:.0f} ms",
        f"{times[0] * 1e3:.0f} ms",
        f"{times[100] / times[0]:.2f}x",
        "<= 1.1x",
    )


async def rates(chain: DevChain, url: str) -> list[Row]:
    """Measure payouts per second, all of them due at once, with Mezo's blocks."""
    async with blocks_of_mezo(chain):
        plain = await run(chain, "plain", count=4)
        direct = await run(chain, "ours", depth=DEPTH, count=4 * DEPTH, between=BLOCK_SECONDS, database=url)
        ours = await run(chain, "ours", depth=DEPTH, batch=BATCH, count=DUE, between=BLOCK_SECONDS, database=url)
        fifty = await run(chain, "ours", depth=1, batch=50, count=200, between=BLOCK_SECONDS, database=url)
    name = f"payouts, {BLOCK_SECONDS} s blocks, {DUE} due, batches of {BATCH}"
    return [
        (
            f"{name}, against {other}",
            f"{ours['rate']:.1f}/s",
            f"{baseline['rate']:.2f}/s",
            f"{ours['rate'] / baseline['rate']:.1f}x",
            reach,
        )
        for other, baseline, reach in (
            ("a web3.py loop", plain, ">= 100x"),
            (f"transfers at depth {DEPTH}", direct, ">= 6x"),
        )
    ] + [processor_row(f"{BLOCK_SECONDS} s blocks", fifty, plain)]


@asynccontextmanager
async def blocks_of_mezo(chain: DevChain) -> AsyncIterator[None]:
    """Make blocks with the time and the gas limit of Mezo's, from now on."""
    await chain.rpc("evm_setAutomine", False)
    await chain.rpc("evm_setIntervalMining", 0)
    await chain.rpc("evm_setBlockGasLimit", hex(BLOCK_GAS))

    async def mine() -> None:
        while True:
            await asyncio.sleep(BLOCK_SECONDS)
            await chain.rpc("anvil_mine", "0x1")

    mining = asyncio.create_task(mine())
    try:
        yield
    finally:
        mining.cancel()
