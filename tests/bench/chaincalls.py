"""How many questions a block costs each operator, however many buyers wait."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from chain.nodes import parse_nodes
from chain.pool import Pool
from kit.clock import SystemClock
from kit.database import Database, connect
from onramp import migrations
from onramp.app import session_rules
from onramp.deliveries.worker import DeliveriesWorker, DeliveryMetrics
from onramp.dev.devchain import DevChain
from onramp.sessions.refresh import intent
from onramp.sessions.table import sessions
from onramp.settings import load

BLOCKS = 8
SENDER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


async def waiting(database: Database, count: int) -> None:
    """So many paid sessions whose MUSD has not come."""
    now = datetime.now(UTC)
    rules = session_rules(load(DELIVERY_MODE="observe", DELIVERY_SENDERS=SENDER))
    async with database.write() as connection:
        for start in range(0, count, 500):
            rows = []
            for number in range(start, min(count, start + 500)):
                wallet = f"0x{number + 1:040x}"
                row = intent(
                    session_id=f"ons_{number}", wallet=wallet, minor=100, currency="usd", locked=wallet, fee_bps=0, rules=rules,
                    made=now - timedelta(seconds=1), now=now,
                ) | {"payment_status": "fulfillment_complete", "paid_at": now, "delivered_units": 10**6, "expected_units": 10**18}  # fmt: skip
                rows.append(row)
            await connection.execute(sa.insert(sessions), rows)


async def calls_a_block(chain: DevChain, folder: Path, count: int) -> dict[str, float]:
    """Requests a block, for each operator."""
    database = connect(f"sqlite+aiosqlite:///{folder}/{count}.db")
    await migrations.upgrade(database)
    await waiting(database, count)
    rules = session_rules(load(DELIVERY_MODE="observe", DELIVERY_SENDERS=SENDER))
    pool = Pool(parse_nodes(",".join(chain.rpc_urls)), chain_id=rules.chain_id, agreement=2)
    worker = DeliveriesWorker(
        database, pool, rules, frozenset({SENDER}), SystemClock(), DeliveryMetrics(CollectorRegistry()), lambda: None
    )
    await worker.step()
    before = {proxy.name: sum(proxy.calls.values()) for proxy in chain.proxies}
    for _ in range(BLOCKS):
        await chain.rpc("anvil_mine", 1)
        await asyncio.sleep(0.3)
        await worker.step()
    after = {proxy.name: sum(proxy.calls.values()) for proxy in chain.proxies}
    await pool.close()
    await database.close()
    return {name: (after[name] - before[name]) / BLOCKS for name in after}
