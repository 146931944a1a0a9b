"""Random histories of a chain that some providers report wrongly, handled by the real deliveries worker on a real database."""

import asyncio
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from chain.node.config import NodeConfig
from chain.pool.pool import Pool
from tests.support.chain_histories import History, histories
from tests.support.chain_model import START, ChainModel
from tests.support.delivery_histories import live
from tests.support.inline_database import InlineDatabase
from tests.support.receipts import BUYER, TOKEN, WALLET
from tests.support.scripted_transport import LoopClock, ScriptedSession, VirtualLoop

pytestmark = pytest.mark.starts_first


async def on_the_model(history: History, database: InlineDatabase) -> None:
    """Run one history to its end."""
    world = ChainModel(tuple(f"n{place}.test" for place in range(history.providers)))
    session: Any = ScriptedSession(world.speak)
    configs = [NodeConfig(host, host, f"http://{host}/rpc") for host in world.providers]
    pool = Pool(configs, chain_id=31611, agreement=history.agreement, session=session, clock=LoopClock())
    try:
        await live(
            history, world, pool, database, asyncio.sleep, token=TOKEN, sender=WALLET, buyer=BUYER, from_block=START
        )
    finally:
        await pool.close()


def campaign(number: int) -> None:
    """The number of random histories."""
    database = InlineDatabase()

    @settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(histories())
    def run(history: History) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(on_the_model(history, database))

    try:
        run()
    finally:
        asyncio.run(database.close())


def test_no_history_confirms_a_false_transfer_or_fails_a_true_one() -> None:
    campaign(250)


@pytest.mark.prove
def test_any_number_of_histories() -> None:
    campaign(int(os.environ.get("HISTORIES", "4000")))
