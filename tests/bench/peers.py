"""Count double payments of a sender that broadcasts and then saves, and of ours; both are killed at each step and lose each response."""

import asyncio
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web

from chain.types import keccak, to_checksum
from kit.db.database import connect
from onramp import migrations
from onramp.dev.chain.devchain import DevChain
from tests.support.faulty_proxy import Fault, FaultyProxy, ProxiedCall
from tests.support.hot_wallet import address_of
from tests.support.sender_case import PAID, STOCK, Case

Row = tuple[str, ...]
KILLS = ("claimed", "nonce_taken", "signed", "broadcast", "stored", "mined", "final")
LOST = "reply lost"
SECONDS = 60
AT_ONCE = 3


async def rows(chain: DevChain, folder: Path) -> list[Row]:
    """Return the rows of the table: the Transfers above the one that each payout is owed."""
    template = folder / "template.db"
    database = connect(f"sqlite+aiosqlite:///{template}")
    await migrations.upgrade(database)
    await database.close()
    all_ = (*KILLS, LOST)
    gate, minting = asyncio.Semaphore(AT_ONCE), asyncio.Lock()  # the node gives its own accounts one nonce at a time

    async def some(work: Callable[[str, asyncio.Lock], Awaitable[int]], at: str) -> int:
        async with gate:
            return await work(at, minting)

    def save(at: str, lock: asyncio.Lock) -> Awaitable[int]:
        return saving(chain, folder / f"saved-{at}.db", at, lock)

    def ours_(at: str, lock: asyncio.Lock) -> Awaitable[int]:
        return ours(chain, folder / f"ours-{at}", template, at, lock)

    theirs = await asyncio.gather(*(some(save, at) for at in all_))
    mine = await asyncio.gather(*(some(ours_, at) for at in all_))
    return [
        (
            f"paid twice under {len(theirs)} faults, against broadcast-then-save",
            str(sum(mine)),
            str(sum(theirs)),
            "",
            "0",
        )
    ]


def lost() -> Fault:
    """Let the node accept the transaction, and lose its response."""

    async def respond(asked: ProxiedCall) -> web.StreamResponse:
        await asked.truth()
        if asked.request.transport is not None:
            asked.request.transport.abort()
        return web.Response()

    return respond


@asynccontextmanager
async def nodes(chain: DevChain, at: str, count: int) -> AsyncIterator[list[FaultyProxy]]:
    """Start proxies of the node; each loses its first response to a broadcast if that is the fault."""
    async with AsyncExitStack() as stack:
        proxies = [FaultyProxy(name, chain.anvil.url) for name in ("alpha", "beta", "gamma")[:count]]
        for proxy in proxies:
            await proxy.start()
            stack.push_async_callback(proxy.stop)
            if at == LOST:
                proxy.then(lost(), method="eth_sendRawTransaction")
        yield proxies


async def saving(chain: DevChain, file: Path, at: str, lock: asyncio.Lock) -> int:
    """Send one payout under one fault."""
    key = keccak(str(file).encode())
    to = to_checksum("0x" + keccak(b"buyer" + key)[12:].hex())
    async with lock:
        await chain.mint(address_of(key), STOCK)
        await chain.fund_gas(address_of(key), 10**18)
    with sqlite3.connect(file) as made:
        made.execute("CREATE TABLE payouts (id INTEGER PRIMARY KEY, recipient, amount, hash, status)")
        made.execute("INSERT INTO payouts (recipient, amount, status) VALUES (?, ?, 'queued')", (to, str(PAID)))
    made.close()
    async with nodes(chain, at, 1) as (proxy,):
        for kill in [at, ""] if at in KILLS else [""]:
            arguments = {"rpc": proxy.config.url, "key": "0x" + key.hex(), "database": str(file), "at": kill}
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.bench.saver", json.dumps(arguments), env={"PATH": os.environ["PATH"]}
            )
            await asyncio.wait_for(process.wait(), SECONDS)
    return await chain.balance(to) // PAID - 1


async def ours(chain: DevChain, home: Path, template: Path, at: str, lock: asyncio.Lock) -> int:
    """Send the same payout under the same fault."""
    home.mkdir()
    shutil.copy(template, home / "test.db")
    case = Case(chain, home, f"sqlite+aiosqlite:///{home / 'test.db'}", owed=1, sweep=False)
    await case.begin(lock)
    async with nodes(chain, at, 3) as proxies:
        case.rpc = ",".join(f"{proxy.name}={proxy.config.url}" for proxy in proxies)
        if at in KILLS:
            async with case.process(at=at) as process:
                await asyncio.wait_for(process.ended(), SECONDS)
        async with case.process():
            await case.done()
    return await chain.balance(case.buyers[0]) // PAID - 1
