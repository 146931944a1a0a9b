"""One random history with wrong answers, handled by the real deliveries worker: on a model of a chain, or on a real one.

Never a false `confirmed`, never a false `mismatch`; and once the chain holds the transfer, confirmed within three blocks.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cache

import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from chain.pool.pool import Pool
from chain.reads.cursor import cursors
from kit.db.database import Database
from kit.money import Money
from onramp.bootstrap.factories import session_config
from onramp.config.loader import load
from onramp.deliveries.context import DeliveryContext, DeliveryMetrics
from onramp.deliveries.table import transfers
from onramp.deliveries.worker import make_deliveries
from onramp.sessions.config import SessionConfig
from onramp.sessions.model import intent_row
from onramp.sessions.table import sessions
from tests.support.chain_histories import BLOCK_SECONDS, MAX_REST, WITHIN, History, happen
from tests.support.chain_model import Behaviour, ChainModel
from tests.support.scripted_transport import LoopClock

OWED = 5


@cache
def rules_of(token: str, sender: str) -> SessionConfig:
    """Return the configuration of observe mode in which this sender's transfers of this token count."""
    return session_config(load(DELIVERY_MODE="observe", DELIVERY_SENDERS=sender, MUSD_TOKEN_ADDRESS=token))


async def purchase(database: Database, rules: SessionConfig, buyer: str, from_block: int) -> None:
    """Empty the tables and insert one paid session."""
    now = LoopClock().now()
    row = intent_row(
        session_id="ons_1", wallet=buyer, source=Money(100, "usd"), fee_bps=0, config=rules,
        created_at=now - timedelta(seconds=1), now=now,
    ) | {"payment_status": "fulfillment_complete", "paid_at": now, "delivered_units": 5, "expected_units": OWED, "from_block": from_block}  # fmt: skip
    async with database.write() as conn:
        for table in (transfers, cursors, sessions):
            await conn.execute(sa.delete(table))
        await conn.execute(sa.insert(sessions), [row])


async def live(
    history: History,
    world: ChainModel,
    pool: Pool,
    database: Database,
    wait: Callable[[float], Awaitable[None]],
    *,
    token: str,
    sender: str,
    buyer: str,
    from_block: int,
) -> None:
    """Run one history to its end; `wait` lets seconds pass."""
    rules = rules_of(token, sender)
    await purchase(database, rules, buyer, from_block)
    worker = make_deliveries(
        DeliveryContext(
            database, pool, rules, frozenset({sender}), LoopClock(), DeliveryMetrics(CollectorRegistry()), lambda: None
        )
    )

    async def look() -> bool:
        """Run one step; return whether the delivery is as the chain shows it."""
        await wait(max(BLOCK_SECONDS, worker.interval))
        world.sync()
        await world.play()
        await worker.step()
        async with database.read() as conn:
            row = (await conn.execute(sa.select(sessions))).one()
        if row.delivery_status == "confirmed":
            assert history.really == "paid", history
            assert (row.block_hash, "paid") in world.seen, history
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

    await look()
    for turn in history.turns:
        happen(world, turn, history)
        await look()
    for name, behaviour in world.behaviours.items():
        world.behaviours[name] = behaviour if behaviour.answer != "truth" or behaviour.head != "truth" else Behaviour()
    world.grow(None if world.mined else history.really)
    if history.providers - history.wrong_providers >= max(history.agreement, history.wrong_providers + 1):
        assert await settle(), ("while wrong answers go on", history)
    world.behaviours = {name: Behaviour() for name in world.providers}
    world.sync()
    await wait(MAX_REST)
    assert await settle(), ("when all answer correctly", history)
