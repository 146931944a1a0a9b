"""Count the RPC calls that a block costs each provider, with few and with many waiting buyers."""

import asyncio
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from kit.clock import SystemClock
from kit.db.bulk import insert_new
from kit.db.database import connect
from kit.worker import WorkerMetrics, WorkerRunner
from onramp import migrations
from onramp.bootstrap.factories import session_config
from onramp.config.loader import load
from onramp.deliveries.context import DeliveryContext, DeliveryMetrics
from onramp.deliveries.worker import make_deliveries
from onramp.dev.chain.devchain import DevChain
from onramp.sessions.table import sessions
from tests.bench.truth import paid_rows

BLOCKS: Final = 15
"""Of a second each."""
FIRST: Final = 24
"""Before them: the pace is learned, and what is read again behind the head has its full length."""
SENDER: Final = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


async def calls_a_block(chain: DevChain, folder: Path, count: int) -> dict[str, float]:
    """Return the requests per block of each provider, each item of a batch counted, while `waiting` sessions wait and no one announces blocks."""
    database = connect(f"sqlite+aiosqlite:///{folder}/{count}.db")
    await migrations.upgrade(database)
    rules, clock, registry = (
        session_config(load(DELIVERY_MODE="observe", DELIVERY_SENDERS=SENDER)), SystemClock(), CollectorRegistry(),
    )  # fmt: skip
    async with database.write() as conn:
        for start in range(0, count, 2_000):
            await insert_new(conn, sessions, paid_rows(rules, range(start, min(count, start + 2_000))))
    pool = Pool(parse_nodes(",".join(chain.rpc_urls)), chain_id=rules.chain_id, agreement=2)
    worker = make_deliveries(
        DeliveryContext(database, pool, rules, frozenset({SENDER}), clock, DeliveryMetrics(registry), lambda: None)
    )
    runner = WorkerRunner([worker], clock, WorkerMetrics(registry, "onramp"))
    runner.start()
    await blocks(chain, FIRST)
    head, before = await newest(chain), {proxy.name: proxy.calls.total() for proxy in chain.proxies}
    await blocks(chain, BLOCKS)
    passed = await newest(chain) - head
    spent = {proxy.name: (proxy.calls.total() - before[proxy.name]) / passed for proxy in chain.proxies}
    await runner.stop()
    await pool.close()
    await database.close()
    return spent


async def newest(chain: DevChain) -> int:
    """Return the number of the newest block."""
    return int(await chain.rpc("eth_blockNumber"), 16)


async def blocks(chain: DevChain, number: int) -> None:
    """Wait for this number of blocks."""
    until = await newest(chain) + number
    while await newest(chain) < until:
        await asyncio.sleep(0.02)
