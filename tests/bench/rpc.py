"""One JSON-RPC call: through the pool, through aiohttp and orjson alone, and through web3's own provider."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from statistics import median

import aiohttp
import orjson

from chain.node.config import NodeConfig
from chain.pool.pool import Pool
from onramp.dev.chain.devchain import DevChain

CONNECTIONS = 32
SLICE = 0.2
"""Seconds per turn: short, so that other load on the machine affects all three ways of asking."""
METHOD = "eth_getBalance"
PARAMS = ["0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "latest"]


async def rate(ask: Callable[[], Awaitable[object]], seconds: float) -> float:
    """Return the calls per second of this number of concurrent callers."""
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
    """Return the three rows of the table."""
    from web3 import AsyncHTTPProvider, AsyncWeb3

    url = chain.anvil.url
    numbers = itertools.count(1)
    web3 = AsyncWeb3(AsyncHTTPProvider(url))
    async with aiohttp.ClientSession() as session:
        pool = Pool([NodeConfig("node", "node", url)], chain_id=31611, agreement=1, session=session)

        # The same node under three URLs: what idle further nodes cost.
        several = [NodeConfig(f"n{place}", f"n{place}", url + "/" * place) for place in range(3)]
        three = Pool(several, chain_id=31611, session=session)

        async def ours() -> object:
            return await pool.first(METHOD, PARAMS)

        async def of_three() -> object:
            return await three.first(METHOD, PARAMS)

        async def bare() -> object:
            body = orjson.dumps({"jsonrpc": "2.0", "id": next(numbers), "method": METHOD, "params": PARAMS})
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
                return orjson.loads(await answer.read())["result"]

        async def plain() -> object:
            return await web3.eth.get_balance(PARAMS[0])  # type: ignore[arg-type] # an address, checksummed

        ways = (ours, of_three, bare, plain)
        for ask in ways:
            await rate(ask, 0.5)
        found = [[await rate(ask, SLICE) for ask in ways] for _ in range(round(rounds * seconds / SLICE))]
        await pool.close()
        await three.close()
    await web3.provider.disconnect()
    mine, threes, raw, theirs = (f"{median(column):,.0f}/s" for column in zip(*found, strict=True))

    def ratio(ask: int, other: int) -> str:
        # Neighbours in time are compared: the machine itself is half as fast from one second to another.
        return f"{median(rates[ask] / rates[other] for rates in found):.2f}x"

    return [
        ("RPC call by the pool, against bare aiohttp", mine, raw, ratio(0, 2), ">= 0.8x"),
        ("the same with two more idle nodes", threes, raw, ratio(1, 2), ""),
        ("RPC call by the pool, against web3", mine, theirs, ratio(0, 3), ">= 3x"),
    ]
