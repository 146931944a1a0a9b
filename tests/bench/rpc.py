"""One JSON-RPC call: through the pool, through aiohttp and orjson alone, and through web3's own provider."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from statistics import median

import aiohttp
import orjson

from chain.nodes import NodeConfig
from chain.pool import Pool
from onramp.dev.devchain import DevChain

CONNECTIONS = 32
SLICE = 0.2
"""Seconds: whoever else uses the machine for a moment meets all three ways of asking."""
METHOD = "eth_getBalance"
PARAMS = ["0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "latest"]


async def rate(ask: Callable[[], Awaitable[object]], seconds: float) -> float:
    """Calls a second, from so many askers side by side."""
    until = time.perf_counter() + seconds
    done = 0

    async def asker() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await ask()
            done += 1

    await asyncio.gather(*(asker() for _ in range(CONNECTIONS)))
    return done / seconds


async def compare(chain: DevChain, seconds: float, rounds: int) -> list[tuple[str, ...]]:
    """The two rows of the table."""
    from web3 import AsyncHTTPProvider, AsyncWeb3

    url = chain.anvil.url
    numbers = itertools.count(1)
    web3 = AsyncWeb3(AsyncHTTPProvider(url))
    async with aiohttp.ClientSession() as session:
        pool = Pool([NodeConfig("node", "node", url)], chain_id=31611, agreement=1, session=session)

        async def ours() -> object:
            return await pool.any(METHOD, PARAMS)

        async def bare() -> object:
            body = orjson.dumps({"jsonrpc": "2.0", "id": next(numbers), "method": METHOD, "params": PARAMS})
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
                return orjson.loads(await answer.read())["result"]

        async def plain() -> object:
            return await web3.eth.get_balance(PARAMS[0])  # type: ignore[arg-type] # an address, checksummed

        for ask in (ours, bare, plain):
            await rate(ask, 0.5)
        found = [
            (await rate(ours, SLICE), await rate(bare, SLICE), await rate(plain, SLICE))
            for _ in range(round(rounds * seconds / SLICE))
        ]
        await pool.close()
    await web3.provider.disconnect()
    mine, raw, theirs = (median(column) for column in zip(*found, strict=True))
    # Neighbours in time are compared: the machine itself is half as fast from one second to another.
    by_raw, by_theirs = median(one[0] / one[1] for one in found), median(one[0] / one[2] for one in found)
    return [
        (
            "RPC call by the pool, against bare aiohttp",
            f"{mine:,.0f}/s",
            f"{raw:,.0f}/s",
            f"{by_raw:.2f}x",
            ">= 0.8x",
        ),
        ("RPC call by the pool, against web3", f"{mine:,.0f}/s", f"{theirs:,.0f}/s", f"{by_theirs:.2f}x", ">= 3x"),
    ]
