"""Random histories of a chain told by lying operators, lived by the real deliveries worker on a real database.

Never a false `confirmed`, never a false `mismatch`; and once the chain holds the transfer, confirmed within three blocks.
"""

import asyncio
import os
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from prometheus_client import CollectorRegistry

from chain.nodes import NodeConfig
from chain.pool import Pool
from kit.database import Database, connect
from onramp.app import session_rules
from onramp.deliveries.table import cursors, transfers
from onramp.deliveries.worker import DeliveriesWorker, DeliveryMetrics
from onramp.sessions.refresh import intent
from onramp.sessions.rules import SessionRules
from onramp.sessions.table import sessions
from onramp.settings import load
from tests.chain.receipts import BUYER, TOKEN, WALLET
from tests.chain.scripted import LoopClock, ScriptedSession
from tests.chain.test_histories import BLOCK_SECONDS, LONGEST_REST, WITHIN, History, happen, histories
from tests.chain.world import START, Mood, World

OWED = 5


class SkippingLoop(asyncio.SelectorEventLoop):
    """The database works in a thread, so time passes by itself; blocks and rests are skipped."""

    skipped = 0.0

    def time(self) -> float:
        return super().time() + self.skipped


def skip(seconds: float) -> None:
    loop: Any = asyncio.get_running_loop()
    loop.skipped += seconds


async def purchase(database: Database, rules: SessionRules) -> None:
    """One, paid, and nothing else in the world."""
    now = LoopClock().now()
    row = intent(
        session_id="ons_1", wallet=BUYER, minor=100, currency="usd", locked=BUYER, fee_bps=0, rules=rules,
        made=now - timedelta(seconds=1), now=now,
    ) | {"payment_status": "fulfillment_complete", "paid_at": now, "delivered_units": 5, "expected_units": OWED, "from_block": START}  # fmt: skip
    async with database.write() as connection:
        for table in (transfers, cursors, sessions):
            await connection.execute(sa.delete(table))
        await connection.execute(sa.insert(sessions), [row])


async def live(history: History, database: Database) -> None:
    """One history to its end."""
    rules = session_rules(load(DELIVERY_MODE="observe", DELIVERY_SENDERS=WALLET, MUSD_TOKEN_ADDRESS=TOKEN))
    await purchase(database, rules)
    world = World(tuple(f"n{place}.test" for place in range(history.operators)), hurried=True)
    session: Any = ScriptedSession(world.speak)
    configs = [NodeConfig(host, host, f"http://{host}/rpc") for host in world.operators]
    pool = Pool(configs, chain_id=31611, agreement=history.agreement, session=session, clock=LoopClock())
    worker = DeliveriesWorker(
        database, pool, rules, frozenset({WALLET}), LoopClock(), DeliveryMetrics(CollectorRegistry()), lambda: None
    )

    async def look() -> bool:
        """One step; whether the delivery is as the chain has it."""
        skip(max(BLOCK_SECONDS, worker.interval))
        world.sync()
        await worker.step()
        async with database.read() as connection:
            row = (await connection.execute(sa.select(sessions))).one()
        if row.delivery_status == "confirmed":
            assert history.really == "paid", history
            assert (row.block_hash, "paid") in world.told, history
            assert row.received_units == OWED, history
        assert row.delivery_status != "mismatch" or history.really == "less", history
        mined = world.mined
        if history.really != "paid" or mined is None:
            return history.really != "paid"
        return bool(row.delivery_status == "confirmed" and row.block_hash == mined.hash)

    async def settle() -> bool:
        for _ in range(WITHIN + 1):
            if await look():
                return True
            world.grow()
        return False

    try:
        await look()
        for turn in history.turns:
            happen(world, turn, history)
            await look()
        for name, mood in world.moods.items():
            world.moods[name] = mood if mood.word != "truth" or mood.head != "truth" else Mood()
        world.grow(None if world.mined else history.really)
        if history.operators - history.liars >= max(history.agreement, history.liars + 1):
            assert await settle(), ("while they lie on", history)
        world.moods = {name: Mood() for name in world.operators}
        world.sync()
        skip(LONGEST_REST)
        assert await settle(), ("when all tell the truth", history)
    finally:
        await pool.close()


def campaign(number: int, url: str) -> None:
    """So many random histories."""

    async def one(history: History) -> None:
        database = connect(url)
        try:
            await live(history, database)
        finally:
            await database.close()

    @settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(histories())
    def run(history: History) -> None:
        with asyncio.Runner(loop_factory=SkippingLoop) as runner:
            runner.run(one(history))

    run()


def test_no_history_of_lies_confirms_what_was_not_nor_fails_what_was(sqlite_url: str) -> None:
    campaign(60, sqlite_url)


@pytest.mark.prove
def test_any_number_of_histories(sqlite_url: str) -> None:
    campaign(int(os.environ.get("HISTORIES", "2000")), sqlite_url)
