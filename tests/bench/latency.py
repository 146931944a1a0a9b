"""Measure the time from a visible block to `confirmed` in the database, and the calls made meanwhile."""

import asyncio
import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from chain.abi.erc20 import encode_transfer
from chain.node.config import parse_nodes, parse_ws
from chain.node.new_heads import NewHeadListener
from chain.pool.block_timer import BlockTimer
from chain.pool.pool import Pool
from chain.reads.cursor import cursors
from chain.types import to_checksum
from kit.clock import SystemClock
from kit.db.database import Database, connect
from kit.worker import WorkerMetrics, WorkerRunner
from onramp import migrations
from onramp.bootstrap.factories import session_config
from onramp.config.loader import load
from onramp.deliveries.context import DeliveryContext, DeliveryMetrics
from onramp.deliveries.table import transfers
from onramp.deliveries.worker import make_deliveries
from onramp.dev.chain.devchain import DevChain
from onramp.sessions.table import sessions
from tests.bench.truth import UNIT, paid_rows

SENDER: Final = "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"
BLOCKS: Final = 45
A_BLOCK: Final = 3
"""Deliveries in each block."""
BETWEEN: Final = 1.0
"""Seconds between two blocks, give or take a tenth of it; Mezo takes 3.6."""


@dataclass
class Run:
    """The measurements of one run."""

    visible: dict[str, float] = field(default_factory=dict)
    """When the block after the one that holds this session's transfer was there."""
    confirmed: dict[str, float] = field(default_factory=dict)
    calls: dict[str, float] = field(default_factory=dict)
    """Requests a block at each operator, receipts left out."""

    def milliseconds(self) -> list[float]:
        """Return the milliseconds between the two, the shortest first."""
        return sorted((self.confirmed[one] - self.visible[one]) * 1000 for one in self.visible)


async def watch(database: Database, run: Run) -> None:
    """Read the database from another connection."""
    statement = sa.select(sessions.c.id).where(sessions.c.delivery_status == "confirmed")
    while True:
        async with database.read() as conn:
            found = (await conn.execute(statement)).scalars().all()
        now = time.perf_counter()
        for one in found:
            run.confirmed.setdefault(one, now)
        await asyncio.sleep(0.01)


def asked(chain: DevChain) -> dict[str, int]:
    """Return the calls to each provider without those for receipts, whose number depends on the buyers and not on the blocks."""
    return {one.name: one.calls.total() - one.calls["eth_getTransactionReceipt"] for one in chain.proxies}


async def deliver(chain: DevChain, folder: Path, *, notified: bool) -> Run:
    """Mine a block a second with three deliveries in each. `notified`: a WebSocket announces each block."""
    database = connect(f"sqlite+aiosqlite:///{folder}/latency-{notified}.db")
    await migrations.upgrade(database)
    settings = load(DELIVERY_MODE="observe", DELIVERY_SENDERS=SENDER, MUSD_TOKEN_ADDRESS=chain.deployment.musd)
    rules, clock, registry = session_config(settings), SystemClock(), CollectorRegistry()
    pool, pace = Pool(parse_nodes(",".join(chain.rpc_urls)), chain_id=rules.chain_id, agreement=2), BlockTimer(clock)
    worker = make_deliveries(
        DeliveryContext(database, pool, rules, frozenset({SENDER}), clock, DeliveryMetrics(registry), lambda: None),
        pace,
    )
    runner, run = WorkerRunner([worker], clock, WorkerMetrics(registry, "onramp")), Run()

    def wake() -> None:
        pace.announce()
        runner.wake("deliveries")

    count = BLOCKS * A_BLOCK
    async with database.write() as conn:
        for table in (transfers, cursors, sessions):
            await conn.execute(sa.delete(table))
        await conn.execute(sa.insert(sessions), paid_rows(rules, range(count), to=buyer))
    await chain.mint(SENDER, count * UNIT)
    await chain.fund_gas(SENDER, UNIT)
    await chain.rpc("anvil_impersonateAccount", SENDER)
    await chain.rpc("evm_setAutomine", False)
    await chain.rpc("evm_setIntervalMining", 0)
    async with aiohttp.ClientSession() as http:
        ups = NewHeadListener(parse_ws(chain.anvil.url.replace("http", "ws")), http, wake)
        if notified:
            ups.start()
        runner.start()
        watching = asyncio.create_task(watch(database, run))
        for _ in range(5):
            await block(chain)
        before = asked(chain)
        waiting: list[str] = []
        for number in range(BLOCKS + 1):
            sent = [f"ons_{number * A_BLOCK + place}" for place in range(A_BLOCK)] if number < BLOCKS else []
            for one in sent:
                await send(chain, buyer(int(one[4:])))
            now = await block(chain)
            run.visible.update(dict.fromkeys(waiting, now))
            waiting = sent
        run.calls = {name: (after - before[name]) / (BLOCKS + 1) for name, after in asked(chain).items()}
        async with asyncio.timeout(30):
            while len(run.confirmed) < count:
                await asyncio.sleep(0.05)
        watching.cancel()
        await ups.stop()
        await runner.stop()
    await chain.rpc("evm_setIntervalMining", 1)
    await chain.rpc("evm_setAutomine", True)
    await pool.close()
    await database.close()
    return run


def buyer(number: int) -> str:
    """Return the address of the buyer with this number."""
    return to_checksum(f"0x{0xC0DE_0000 + number:040x}")


async def send(chain: DevChain, to: str) -> None:
    data = "0x" + encode_transfer(to, UNIT).hex()
    await chain.rpc("eth_sendTransaction", {"from": SENDER, "to": chain.deployment.musd, "data": data})


async def block(chain: DevChain) -> float:
    """Mine one more block; return when it was visible."""
    await asyncio.sleep(BETWEEN * random.uniform(0.9, 1.1))
    await chain.rpc("anvil_mine", "0x1")
    return time.perf_counter()


async def compare(chain: DevChain, folder: Path) -> list[tuple[str, ...]]:
    """Return the rows of the table."""
    rows: list[tuple[str, ...]] = []
    for notified, mode in ((False, "polled"), (True, "notified by WebSocket")):
        run = await deliver(chain, folder, notified=notified)
        spent = run.milliseconds()
        p50, p99 = statistics.median(spent), spent[int(len(spent) * 0.99)]
        rows += [
            (f"next block visible to confirmed, {mode}, p50", f"{p50:.0f} ms", "", "", ""),
            (f"the same, p99 of {len(spent)}", f"{p99:.0f} ms", "", "", "<= 400 ms"),
            (f"RPC calls a block meanwhile, {mode}", f"{max(run.calls.values()):.2f}", "", "", "<= 3 each"),
        ]
    return rows
